//! Memory does not grow with the log: a million rows need what a hundred thousand need.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

use ew::Site;
use std::fmt::Write as _;

const EW_LOG: &str = env!("CARGO_BIN_EXE_ew-log");

/// Runs a program without its output and prints the most memory that it held, KiB (getrusage(2)).
const PEAK: &str = "import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";

/// Its rows are sorted by point.
const JOB: &str = "[[export]]\nname = \"u\"\npoints = [\"**\"]\ninterval = \"5m\"\naggregate = \"mean\"\n\
                   [export.format.cmep]\n[export.transport.file]\ndirectory = \".\"\n";

/// KiB at the peak.
fn peak(site: &Site, program: &str, arguments: &str) -> u64 {
    let program = ew::sibling(EW_LOG, program);
    let mut command = site.command("python3", "");
    let output = command.args(["-c", PEAK]).arg(program).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn ten_times_the_rows_need_no_more_memory() {
    let peaks = [100_000, 1_000_000].map(|rows| {
        let site = Site::new(JOB);
        let mut text = "timestamp,point,value,unit,quality\n".to_owned();
        for n in 0..rows {
            let (second, switch) = (1_700_000_000 + n / 50, n % 50);
            writeln!(text, "{second},com.example.hq.sw{switch},{}.5,W,actual", n % 1000).unwrap();
        }
        site.write("rows.csv", &text);
        let all = "-q slice --from first --to last";
        let by_point = "-q u --stdout --from 2023-11-14T00:00:00Z --to 2023-11-16T00:00:00Z".to_owned();
        let commands = [
            ("ew-log", "-q append rows.csv".to_owned()),
            ("ew-log", all.to_owned()),
            ("ew-log", format!("{all} --layout wide")),
            ("ew-export", by_point),
        ];
        commands.map(|(program, arguments)| peak(&site, program, &arguments))
    });
    let [few, many] = peaks;
    for (few, many) in few.into_iter().zip(many) {
        assert!(many.abs_diff(few) <= 2 * 1024, "peaks in KiB of append, slice, wide, by point: {peaks:?}");
    }
}

//! Writes the man pages and the bash, zsh and fish completions of every program into a folder, from the
//! programs' own command lines: `scripts/generate-docs.sh` calls it. An example, so that no program carries it.

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use std::fs::{File, create_dir_all};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const PROGRAMS: [&str; 6] = ["ew-poll", "ew-cbus", "ew-log", "ew-export", "ew-ledger", "ew-sim"];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [out] = arguments.as_slice() else {
        eprintln!("usage: generate-docs OUT");
        return ExitCode::from(2);
    };
    let out = PathBuf::from(out);
    match generate(&out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate-docs: cannot write into {}: {error}", out.display());
            ExitCode::from(74)
        }
    }
}

/// The command lines of [`PROGRAMS`].
fn programs() -> [Command; PROGRAMS.len()] {
    [
        ew_poll::Args::command(),
        ew_cbus::Args::command(),
        ew_log::Args::command(),
        ew_export::Args::command(),
        ew_ledger::Args::command(),
        ew_sim::Args::command(),
    ]
}

fn generate(out: &Path) -> Result<()> {
    let man = folder(out, "man")?;
    let shells = [
        (Shell::Bash, folder(out, "bash")?),
        (Shell::Zsh, folder(out, "zsh")?),
        (Shell::Fish, folder(out, "fish")?),
    ];
    for (name, program) in PROGRAMS.into_iter().zip(programs()) {
        // `help` would be a page for each command once more.
        let mut program = program.name(name).disable_help_subcommand(true);
        for (shell, folder) in &shells {
            let file = generate_to(*shell, &mut program, name, folder)?;
            // bash looks for a file with the name of the command.
            if *shell == Shell::Bash {
                std::fs::rename(file, folder.join(name))?;
            }
        }
        program.build();
        pages(&program, &man)?;
    }
    Ok(())
}

fn folder(out: &Path, name: &str) -> Result<PathBuf> {
    let folder = out.join(name);
    create_dir_all(&folder)?;
    Ok(folder)
}

/// The page of a command, and those of the commands below it.
fn pages(command: &Command, folder: &Path) -> Result<()> {
    for below in command.get_subcommands() {
        pages(below, folder)?;
    }
    let version = concat!("ew ", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command.clone()).source(version).manual("ew");
    let mut file = File::create(folder.join(page.get_filename()))?;
    page.render_title(&mut file)?;
    page.render_name_section(&mut file)?;
    // clap_mangen leaves out what an option takes; the usage line of --help does not.
    let usage = command.clone().render_usage().to_string();
    section(&mut file, "SYNOPSIS", usage.trim_start_matches("Usage:").trim_start())?;
    page.render_description_section(&mut file)?;
    page.render_options_section(&mut file)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut file)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for part in after.split("\n\n").filter(|part| !part.trim().is_empty()) {
        match part.split_once('\n') {
            Some(("Example:" | "Examples:", text)) => section(&mut file, "EXAMPLES", text)?,
            Some(("Exit codes:", text)) => section(&mut file, "EXIT STATUS", text)?,
            _ => section(&mut file, "NOTES", part)?,
        }
    }
    let own = page.get_filename();
    let others: Vec<_> = PROGRAMS.iter().filter(|name| own != format!("{name}.1")).collect();
    writeln!(file, ".SH \"SEE ALSO\"")?;
    for (at, name) in others.iter().enumerate() {
        let comma = if at + 1 < others.len() { "," } else { "" };
        writeln!(file, ".BR {} (1){comma}", name.replace('-', "\\-"))?;
    }
    file.flush()
}

/// A section of lines that stay as they are.
fn section(out: &mut File, title: &str, text: &str) -> Result<()> {
    writeln!(out, ".SH \"{title}\"\n.nf")?;
    for line in text.lines() {
        let line = line.strip_prefix("  ").unwrap_or(line).replace('\\', "\\e").replace('-', "\\-");
        // A line that begins with . or ' would be a request.
        writeln!(out, "\\&{}", line.replace('\'', "\\(aq"))?;
    }
    writeln!(out, ".fi")
}

//! `poll-snmp2 HOSTS v2c|v3 THREADS`: what a plain use of the snmp2 crate makes of the same poll, for
//! `make bench-poll`. HOSTS has a line ADDRESS:PORT for each switch; prints how many answered.
//!
//! It does what such programs do: a session a switch, the domain's name by GET, the table by GETBULK.

use snmp2::v3::{Auth, AuthProtocol, Cipher, Security};
use snmp2::{Oid, SyncSession};
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ENERGYWISE: [u64; 10] = [1, 3, 6, 1, 4, 1, 9, 9, 683, 1];
const COLUMNS: [u64; 4] = [7, 8, 9, 20];
const TIMEOUT: Duration = Duration::from_secs(2);

fn ask(host: &str, v3: bool) -> Option<usize> {
    let mut session = if v3 {
        let cipher = Cipher::Aes128;
        let auth = Auth::AuthPriv { cipher, privacy_password: b"privpass123".to_vec() };
        let user =
            Security::new(b"ewpoll", b"authpass123").with_auth_protocol(AuthProtocol::Sha1).with_auth(auth);
        let mut session = SyncSession::new_v3(host, Some(TIMEOUT), 1, user).ok()?;
        session.init().ok()?;
        session
    } else {
        SyncSession::new_v2c(host, b"public", Some(TIMEOUT), 1).ok()?
    };
    let oid = |rest: &[u64]| Oid::from(&[&ENERGYWISE, rest].concat()).ok();
    session.get(&oid(&[3, 0])?).ok()?;
    let columns = COLUMNS.iter().map(|column| oid(&[6, 1, *column])).collect::<Option<Vec<_>>>()?;
    let columns: Vec<&Oid> = columns.iter().collect();
    let answer = session.getbulk(&columns, 0, 12).ok()?;
    Some(answer.varbinds.count())
}

#[allow(clippy::print_stdout, reason = "its output")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [hosts, version, threads] = &arguments[..] else { return Err("HOSTS v2c|v3 THREADS".into()) };
    let hosts = std::fs::read_to_string(hosts)?;
    let hosts: Vec<&str> = hosts.lines().collect();
    let (next, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads.parse().unwrap_or(1) {
            scope.spawn(|| {
                while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if ask(host, version == "v3").is_some_and(|values| values > 0) {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!("{}", answered.into_inner());
    Ok(())
}

//! Each form of a secret, of each kind, from `ew.toml` to the far side: it gets there, and it is nowhere else.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/nginx.rs"]
mod nginx;
#[path = "support/sim.rs"]
mod sim;
#[path = "support/smtp.rs"]
mod smtp;
#[path = "support/sshd.rs"]
mod sshd;

use ew::Site;
use sim::Sim;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

/// The forms that a secret has in `ew.toml`.
const FORMS: [&str; 5] = ["string", "file", "env", "credential", "command"];

/// A key of the configuration, its right secret and one that the far side refuses.
struct Key {
    name: &'static str,
    right: &'static str,
    wrong: &'static str,
}

/// What needs secrets: the program, its configuration around the keys, and how it ends with a wrong one.
struct Case {
    program: PathBuf,
    keys: &'static [Key],
    config: Box<dyn Fn(&str) -> String>,
    refused: i32,
}

/// Keeps the secrets beside the site, so that everything in the site can be searched.
struct Vault(tempfile::TempDir);

impl Vault {
    fn path(&self, key: &str) -> PathBuf {
        self.0.path().join(key)
    }

    fn put(&self, key: &str, secret: &str) {
        std::fs::write(self.path(key), format!("{secret}\n")).unwrap();
    }

    /// The lines of `ew.toml` for the keys in that form; the text of a string is the one kept.
    fn lines(&self, form: &str, keys: &[Key]) -> String {
        let line = |key: &Key| {
            let path = self.path(key.name);
            let value = match form {
                "string" => format!("{:?}", std::fs::read_to_string(&path).unwrap().trim_end()),
                "file" => format!("{{ file = {path:?} }}"),
                "env" => format!("{{ env = {:?} }}", variable(key.name)),
                "credential" => format!("{{ credential = {:?} }}", key.name),
                // One that fails has said all it knows.
                "command" => {
                    let script = "cat \"$0\" && cat \"$0\" >&2 && test ! -e \"$0.fail\"";
                    format!("{{ command = [\"sh\", \"-c\", {script:?}, {path:?}] }}")
                }
                other => panic!("{other}"),
            };
            format!("{} = {value}\n", key.name)
        };
        keys.iter().map(line).collect()
    }
}

fn variable(key: &str) -> String {
    format!("EW_TEST_{}", key.to_uppercase())
}

/// Someone who has the log open, so that its write-ahead log outlives the programs.
struct Reader(Child);

impl Reader {
    fn open(site: &Site) -> Reader {
        let mut child = Command::new("sqlite3")
            .arg(site.file("ew.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"select count(*) from state;\n").unwrap();
        let mut answer = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        assert_eq!(answer, "1\n");
        Reader(child)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Case {
    fn check(&self, form: &str) {
        let vault = Vault(tempfile::tempdir().unwrap());
        let put = |secret: &dyn Fn(&Key) -> &'static str| {
            self.keys.iter().for_each(|key| vault.put(key.name, secret(key)));
        };
        let site = Site::new("");
        let row = "timestamp,point,value\n2026-03-01T00:00:00Z,com.example.hq,1\n";
        let log = ew::sibling(EW_EXPORT, "ew-log");
        site.run_with_input(log.to_str().unwrap(), "append -q", row).exit(0);
        let _reader = Reader::open(&site);
        // Each a day later: a poll has one reading for one time.
        let mut days = 2..;
        let mut run = |code: i32, is_there: bool| {
            site.write("ew.toml", &(self.config)(&vault.lines(form, self.keys)));
            let mut command = site.command(self.program.to_str().unwrap(), "-v --json");
            command.env("EW_DEBUG", "1");
            command.env("EW_NOW", format!("2026-03-{:02}T00:00:00Z", days.next().unwrap()));
            match form {
                "env" if is_there => {
                    for key in self.keys {
                        let secret = std::fs::read_to_string(vault.path(key.name)).unwrap();
                        command.env(variable(key.name), secret.trim_end());
                    }
                }
                "credential" => drop(command.env("CREDENTIALS_DIRECTORY", vault.0.path())),
                _ => {}
            }
            let output = command.output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(code), "{form}: {said}");
            assert!(std::fs::metadata(site.file("ew.db-wal")).unwrap().len() > 0);
            for secret in self.keys.iter().flat_map(|key| [key.right, key.wrong]) {
                assert!(!said.contains(secret), "{form}: {said}");
                assert_eq!(site.files_with(secret), Vec::<PathBuf>::new(), "{form}");
            }
            said
        };
        put(&|key| key.wrong);
        run(self.refused, true);
        if form != "string" {
            // The secret cannot be had.
            for key in self.keys {
                match form {
                    "command" => std::fs::write(vault.path(&format!("{}.fail", key.name)), "").unwrap(),
                    "file" | "credential" => std::fs::remove_file(vault.path(key.name)).unwrap(),
                    _ => {}
                }
            }
            let said = run(78, false);
            assert!(said.contains(self.keys[0].name), "{form}: {said}");
            for key in self.keys {
                let _ = std::fs::remove_file(vault.path(&format!("{}.fail", key.name)));
            }
        }
        put(&|key| key.right);
        run(0, true);
    }
}

/// A job that sends one row, by that transport.
fn job(transport: &str) -> String {
    format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nconnection_attempts = 1\n[export.format.csv]\n{transport}"
    )
}

#[test]
fn the_password_of_a_mailbox() {
    let sink = smtp::Sink::start();
    let (port, ca_file) = (sink.port(), sink.ca_file());
    let case = Case {
        program: EW_EXPORT.into(),
        keys: &[Key { name: "password", right: smtp::PASSWORD, wrong: "hunter2hunter2" }],
        config: Box::new(move |keys| {
            job(&format!(
                "[export.transport.smtp]\nhost = \"localhost\"\nport = {port}\nca_file = {ca_file:?}\nuser = {:?}\n\
                 from = \"ew@example.com\"\nto = [\"ops@example.com\"]\n{keys}",
                smtp::USER
            ))
        }),
        refused: 77,
    };
    for form in FORMS {
        case.check(form);
    }
    assert_eq!(sink.received().len(), FORMS.len());
}

/// Two secrets at once, one of which the server repeats.
#[test]
fn the_token_of_a_portal() {
    let server = nginx::Nginx::start();
    let url = server.url("/token/");
    let case = Case {
        program: EW_EXPORT.into(),
        keys: &[
            Key { name: "bearer", right: "sesame", wrong: "hunter2hunter2" },
            Key { name: "hmac_secret", right: "s1gned-s3aled", wrong: "hunter3hunter3" },
        ],
        config: Box::new(move |keys| job(&format!("[export.transport.http]\nurl = {url:?}\n{keys}"))),
        refused: 77,
    };
    for form in FORMS {
        case.check(form);
        std::fs::remove_file(server.folder("token/u_20260301T000000Z.csv")).unwrap();
    }
}

/// The program has it in its environment, and tells it.
#[test]
fn the_environment_of_a_command() {
    let script = "cat >/dev/null; echo \"it is $TOKEN\" >&2; test \"$TOKEN\" = open-sesame-7 || exit 77";
    let case = Case {
        program: EW_EXPORT.into(),
        keys: &[Key { name: "TOKEN", right: "open-sesame-7", wrong: "hunter2hunter2" }],
        config: Box::new(move |keys| {
            job(&format!(
                "[export.transport.command]\ncommand = [\"sh\", \"-c\", {:?}]\n\
                 [export.transport.command.environment]\n{keys}",
                script.replace("open-sesame-7", "$(printf %s-%s open sesame-7)")
            ))
        }),
        refused: 77,
    };
    for form in FORMS {
        case.check(form);
    }
}

#[test]
fn the_password_of_a_key() {
    let server = sshd::Sshd::start();
    let known_hosts = server.known_hosts(&["ed25519"], server.port());
    let (port, user, key) = (server.port(), server.user().to_owned(), server.encrypted_key());
    let case = Case {
        program: EW_EXPORT.into(),
        keys: &[Key { name: "key_password", right: sshd::KEY_PASSWORD, wrong: "hunter2hunter2" }],
        config: Box::new(move |keys| {
            job(&format!(
                "[export.transport.sftp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = {user:?}\nkey_file = {key:?}\n\
                 known_hosts = {known_hosts:?}\ndirectory = \"in\"\ncreate_directory = true\n{keys}",
            ))
        }),
        refused: 78,
    };
    for form in FORMS {
        case.check(form);
        std::fs::remove_dir_all(server.root().join("in")).unwrap();
    }
}

/// A poll of simulated switches, with more lines of `[snmp]`.
fn poll(sim: &Sim, lines: &'static str, keys: &'static [Key], refused: i32) -> Case {
    let port = sim.ports[0];
    let config = move |keys: &str| {
        format!(
            "[snmp]\ntimeout = \"200ms\"\nretries = 1\n{lines}{keys}[[domain]]\nname = \"com.example.hq\"\n\
             [[domain.switch]]\nname = \"sw1\"\naddress = \"127.0.0.1\"\nport = {port}\n"
        )
    };
    Case { program: ew::sibling(EW_EXPORT, "ew-poll"), keys, config: Box::new(config), refused }
}

fn simulate(arguments: &[&str]) -> Sim {
    Sim::start(&ew::sibling(EW_EXPORT, "ew-sim"), arguments)
}

#[test]
fn the_community_of_a_switch() {
    let keys = &[Key { name: "community", right: "n0t-f0r-y0ur-eyes", wrong: "hunter2hunter2" }];
    let sim = simulate(&["--community", keys[0].right]);
    // A switch does not answer a wrong one.
    let case = poll(&sim, "", keys, 69);
    for form in FORMS {
        case.check(form);
    }
}

#[test]
fn the_pass_phrases_of_a_user() {
    let keys = &[
        Key { name: "auth_password", right: "authentic-horse", wrong: "hunter2hunter2" },
        Key { name: "priv_password", right: "private-battery", wrong: "hunter3hunter3" },
    ];
    let sim = simulate(&["--v3-user", "ew:sha256:authentic-horse:aes:private-battery"]);
    let case = poll(&sim, "version = \"3\"\nuser = \"ew\"\nauth = \"sha256\"\npriv = \"aes\"\n", keys, 77);
    for form in FORMS {
        case.check(form);
    }
}

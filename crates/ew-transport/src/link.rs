//! A second name for a long file in place of a copy.

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, CWD, fgetxattr, flistxattr, linkat};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// From so many bytes on a file of the spool may be the receiver's too, by a second name: of less a copy is soon made.
pub const LONG_BYTES: u64 = 8 << 20;

/// The most that Linux gives at once, bytes: xattr(7).
const ATTRIBUTES_MAX: usize = 64 * 1024;

/// Whether nobody can tell a second name of a long file from a copy of it in `new`: that lies on the same file system,
/// with the same owner, group, mode, ACL and label. Not where the file has a second name already: whoever has that may
/// write into it.
pub(crate) fn may_stand_for(file: &File, new: &File) -> bool {
    let is_alike = || {
        let (one, other) = (file.metadata()?, new.metadata()?);
        let rights = |meta: &Metadata| (meta.dev(), meta.uid(), meta.gid(), meta.mode());
        Ok::<_, io::Error>(
            one.len() >= LONG_BYTES
                && one.nlink() == 1
                && rights(&one) == rights(&other)
                && attributes(file)? == attributes(new)?,
        )
    };
    // Where it cannot be known, a copy is right.
    is_alike().unwrap_or(false)
}

/// Gives the very file that is open one name more: proc(5), `/proc/self/fd`. Not every file system can.
pub(crate) fn give(file: &File, name: &Path) -> io::Result<()> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, open, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// Names and values of a file's extended attributes, ACL and label among them: xattr(7).
fn attributes(file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = Vec::with_capacity(ATTRIBUTES_MAX);
    match flistxattr(file, spare_capacity(&mut names)) {
        // A file system without any.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        listed => listed?,
    };
    let each = names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(|name| {
        let mut value = Vec::with_capacity(ATTRIBUTES_MAX);
        fgetxattr(file, name, spare_capacity(&mut value))?;
        Ok((name.to_owned(), value))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{XattrFlags, fsetxattr};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    /// An ACL like the mode 0644, and one entry more: user 1 may read. acl(5), as Linux keeps it.
    fn acl() -> Vec<u8> {
        let entries =
            [(1_u16, 6_u16, u32::MAX), (2, 4, 1), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 4, u32::MAX)];
        let mut text = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            text.extend(tag.to_le_bytes());
            text.extend(rights.to_le_bytes());
            text.extend(id.to_le_bytes());
        }
        text
    }

    fn file(path: &Path, bytes: u64) -> File {
        let file = File::create(path).unwrap();
        file.set_permissions(Permissions::from_mode(0o644)).unwrap();
        file.set_len(bytes).unwrap();
        file
    }

    #[test]
    fn only_a_long_file_that_a_copy_would_be_like() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (long, new) = (file(&path("long"), LONG_BYTES), file(&path("new"), 0));
        assert!(may_stand_for(&long, &new));
        assert!(!may_stand_for(&file(&path("short"), LONG_BYTES - 1), &new));

        new.set_permissions(Permissions::from_mode(0o640)).unwrap();
        assert!(!may_stand_for(&long, &new), "another mode");
        new.set_permissions(Permissions::from_mode(0o644)).unwrap();
        assert!(may_stand_for(&long, &new));

        fs::hard_link(path("long"), path("second")).unwrap();
        assert!(!may_stand_for(&long, &new), "somebody has it already");
        fs::remove_file(path("second")).unwrap();

        fsetxattr(&new, "system.posix_acl_access", &acl(), XattrFlags::empty()).unwrap();
        assert_eq!(new.metadata().unwrap().mode(), long.metadata().unwrap().mode());
        assert!(!may_stand_for(&long, &new), "another ACL");
        fsetxattr(&long, "system.posix_acl_access", &acl(), XattrFlags::empty()).unwrap();
        assert!(may_stand_for(&long, &new));
    }
}

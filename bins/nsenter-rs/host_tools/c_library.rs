//! The host's C library, made to take what decides over its program from the kit and not from the container.
//!
//! Some paths are fixed in it, and no variable turns them: `/etc/nsswitch.conf`, by whose words it loads modules;
//! `/bin/sh`, by which system(3) and popen(3) run everything; nscd's socket, whose answers come before all files; the
//! modules that convert character sets. An image may lack these files, and a container may change them at any time.
//! So it is a copy of the library that is loaded, in which each of these paths begins with `/..//`: the kernel
//! follows `..` in the root to what is mounted over the root, and what is mounted there is ours ([`super::fixed`]).
//! A path keeps its length, because compilers put a string into the end of another one.

/// What a path is replaced by at its beginning: as long as `/etc/`, `/bin/` and `/usr/`.
const ABOVE: &[u8] = b"/..//";

/// Files that hold paths of the C library, by the names under which programs want them. Before glibc 2.34 the
/// module that reads `/etc/services` was a library of its own.
pub const NAMES: [&str; 2] = ["libc.so.6", "libnss_files.so.2"];

/// Beginnings of paths, and what begins like them: compilers make code of the first eight or sixteen bytes of a
/// string that is copied.
const EVERYWHERE: [(&[u8], &[u8]); 2] =
    [(b"/etc/nsswitch.co", b"/..//nsswitch.co"), (b"/var/run/nscd/so", b"/..//run/nscd/so")];

/// Whole strings. The databases of names and numbers of protocols and services are the host's, for images seldom
/// have them, and programs fail without a word where they are missing; that of users is the container's, if it has one.
const WHOLE: [&[u8]; 5] = [b"/etc/protocols", b"/etc/services", b"/etc/passwd", b"/etc/group", b"/bin/sh"];

/// Where modules for character sets are looked for beside `$GCONV_PATH`, below `/usr` everywhere.
const GCONV: [&[u8]; 2] = [b"/gconv", b"/gconv/gconv-modules.cache"];

/// Turns the paths in `copy`, which is such a library, or musl's loader. Whether there was one.
pub fn redirect(copy: &mut [u8]) -> bool {
    let mut found = false;
    for (path, instead) in EVERYWHERE {
        for at in positions(copy, path) {
            copy[at..at + instead.len()].copy_from_slice(instead);
            found = true;
        }
    }
    let whole = WHOLE.iter().flat_map(|path| positions(copy, &[b"\0", *path, b"\0"].concat()));
    let gconv = GCONV.iter().flat_map(|path| {
        let ends = positions(copy, &[*path, b"\0"].concat());
        ends.into_iter().filter_map(|end| {
            let start = copy[..end].iter().rposition(|byte| *byte == 0)?;
            copy[start + 1..end].starts_with(b"/usr/").then_some(start)
        })
    });
    let starts: Vec<usize> = whole.chain(gconv).collect();
    for start in starts {
        copy[start + 1..start + 1 + ABOVE.len()].copy_from_slice(ABOVE);
        found = true;
    }
    found
}

fn positions(text: &[u8], word: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    // A library has millions of bytes: the first one is looked for by itself.
    while let Some(at) = text[from..].iter().position(|byte| *byte == word[0]) {
        let at = from + at;
        if text[at..].starts_with(word) {
            found.push(at);
        }
        from = at + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_that_decides_leads_above_the_root_and_keeps_its_length() {
        let text = b"x\0/etc/nsswitch.conf\0/etc/passwd\0/etc/services\0/bin/sh\0/usr/bin/sh\0\
                     /usr/lib/x/gconv\0u/gconv\0/var/run/nscd/so??cket/etc/nsswitch.co<\0";
        let mut copy = text.to_vec();
        assert!(redirect(&mut copy));
        let expected = b"x\0/..//nsswitch.conf\0/..//passwd\0/..//services\0/..//sh\0/usr/bin/sh\0\
                     /..//lib/x/gconv\0u/gconv\0/..//run/nscd/so??cket/..//nsswitch.co<\0";
        assert_eq!(String::from_utf8_lossy(&copy), String::from_utf8_lossy(expected));
        assert!(!redirect(&mut b"nothing of /etc/servicesx and /bin/shx\0".to_vec()));
    }

    #[test]
    fn the_hosts_own_one_is_understood() {
        let places = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib"];
        let found =
            places.iter().map(|place| format!("{place}/libc.so.6")).find_map(|file| std::fs::read(file).ok());
        // A host with musl has none.
        let Some(mut copy) = found else { return };
        let length = copy.len();
        assert!(redirect(&mut copy));
        for path in [&b"/etc/nsswitch"[..], b"\0/etc/services\0", b"\0/etc/protocols\0", b"\0/bin/sh\0"] {
            assert_eq!(positions(&copy, path), Vec::<usize>::new(), "{}", String::from_utf8_lossy(path));
        }
        assert_eq!(copy.len(), length);
    }
}

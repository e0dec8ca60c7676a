//! The checker's own tests: small texts and the problems that they have.

use super::*;

#[test]
fn source_rules() {
    let long = format!("//! Doc.\n{}", "let x = 1;\n".repeat(500));
    let table: [(&str, &str, &[&str]); 9] = [
        ("a/src/b.rs", "//! Doc.\nfn f() {}\n", &[]),
        ("a/src/b.rs", "fn f() {}\n", &["a/src/b.rs:1: no module doc on line one"]),
        (
            "a/src/b.rs",
            "//! Doc.\n    x.unwrap();\n",
            &["a/src/b.rs:2: unwrap: return an error, or `expect` the invariant that holds"],
        ),
        ("a/src/b.rs", "//! Doc.\n// x.unwrap()\nlet s = \".unwrap()\";\n", &[]),
        (
            "a/src/b.rs",
            "//! Doc.\nunsafe { g() }\n#![forbid(unsafe_code)]\n",
            &["a/src/b.rs:2: unsafe outside its one file"],
        ),
        ("storage/src/mmap.rs", "//! Doc.\nunsafe { g() }\n", &[]),
        (
            "a/src/b.rs",
            "//! Doc.\n#[cfg(test)]\nmod tests {\n    x.unwrap();\n}\ny.unwrap();\n",
            &["a/src/b.rs:6: unwrap: return an error, or `expect` the invariant that holds"],
        ),
        ("a/tests/b.rs", "//! Doc.\nx.unwrap();\n", &[]),
        ("a/src/b.rs", &long, &["a/src/b.rs: 501 non-test lines, at most 500"]),
    ];
    for (path, text, problems) in table {
        assert_eq!(check_source(path, text), problems, "{path}: {text}");
    }
}

#[test]
fn text_rules() {
    let wide = "x".repeat(101);
    let table: [(&str, &str, &[&str]); 6] = [
        ("a.md", "fine\n", &[]),
        ("a.md", &wide, &["a.md:1: 101 columns, at most 100"]),
        ("a.md", &format!("| {wide} |"), &[]),
        ("a.md", "a \n", &["a.md:1: blank at the end of the line"]),
        ("go.sum", &wide, &[]),
        ("a/golden.hex", &wide, &[]),
    ];
    for (path, text, problems) in table {
        assert_eq!(check_text(path, text), problems, "{path}: {text}");
    }
    for (a, b) in HOSTS.iter().chain(&LEFTOVERS) {
        assert_eq!(check_text("a.md", &format!("see {a}{b}\n")).len(), 1, "{a}{b}");
    }
}

#[test]
fn parents_of_modules() {
    assert_eq!(parents_of("a/src/lib.rs"), None);
    assert_eq!(parents_of("a/src/bin/x.rs"), None);
    assert_eq!(parents_of("a/tests/x.rs"), None);
    let parents = |path| parents_of(path).unwrap();
    let expected = (vec!["a/src/lib.rs".to_owned(), "a/src/main.rs".to_owned()], "b".to_owned());
    assert_eq!(parents("a/src/b.rs"), expected);
    assert_eq!(parents("a/src/b/mod.rs"), expected);
    let expected = (vec!["a/src/b.rs".to_owned(), "a/src/b/mod.rs".to_owned()], "c".to_owned());
    assert_eq!(parents("a/src/b/c.rs"), expected);
    assert!(declares("pub(crate) mod b;", "b"));
    assert!(declares("    mod b {", "b"));
    assert!(!declares("pub use b;", "b"));
}

#[test]
fn licenses() {
    for free in ["MIT", "MIT OR Apache-2.0", "MIT/Apache-2.0", "(MIT OR X) AND Unicode-3.0"] {
        assert!(license_is_free(free), "{free}");
    }
    for other in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-2.0"] {
        assert!(!license_is_free(other), "{other}");
    }
    let apache = "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT";
    assert!(license_is_free(apache));
}

#[test]
fn dead_links_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = "[a](src/main.rs) [b](https://example.org/x) [c](#here)\n[d](src/gone.rs)\n";
    assert_eq!(check_links(root, "x.md", text), ["x.md:2: dead link to src/gone.rs"]);
}

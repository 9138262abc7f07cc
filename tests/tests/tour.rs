//! The README's two tours, word for word.

use conn3ction_tests::{Conn3ction, binary, root, shell};

/// The lines of the block of shell commands behind `mark`.
fn lines(readme: &str, mark: &str) -> Vec<String> {
    let block = readme.split(mark).nth(1).and_then(|rest| rest.split("```sh\n").nth(1)?.split("```").next());
    block.expect("the README has a tour").lines().map(str::to_owned).collect()
}

#[test]
fn every_line_of_the_tours_works() -> anyhow::Result<()> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let path = binary().parent().expect("a directory").display().to_string();
    let run = |line: &String| {
        let line = line
            .replace("127.0.0.1:8080", &server.http.to_string())
            .replace("-p 1053", &format!("-p {}", server.dns.port()));
        shell(&format!("PATH={path}:$PATH; export CONN3CTION_URL=http://{}\n{line}", server.http))
    };
    let printed = lines(&readme, "<!-- tour").iter().map(run).collect::<anyhow::Result<Vec<_>>>()?;
    assert_eq!(printed.len(), 9, "{printed:?}");
    assert_eq!(printed[0], r#"{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}"#);
    assert_eq!(printed[2], "10.1.2.3\n");
    assert_eq!(printed[4], "10.1.2.4\n");
    assert!(printed[5].contains("zone-imported"), "{}", printed[5]);
    assert!(printed[6].starts_with("30909 8 2 E2D3C916"), "{}", printed[6]);
    assert!(printed[7].contains("CHG-1 move app"), "{}", printed[7]);
    assert!(printed[8].starts_with(r#"{"ok":true"#), "{}", printed[8]);

    let printed = lines(&readme, "<!-- time machine").iter().map(run).collect::<anyhow::Result<Vec<_>>>()?;
    assert_eq!(printed.len(), 10, "{printed:?}");
    for (line, answer) in [(1, "10.1.2.99\n"), (2, "10.1.2.4\n"), (3, "10.1.2.4\n"), (7, "10.1.2.4\n")] {
        assert_eq!(printed[line], answer, "line {line}");
    }
    assert!(printed[4].starts_with("r5 ") && printed[4].contains("CHG-2 wrong address"), "{}", printed[4]);
    assert_eq!(printed[5], "~ app.example.local.  60  A\n-   10.1.2.4\n+   10.1.2.99\n");
    assert!(printed[6].contains("~ app.example.local."), "{}", printed[6]);
    assert!(printed[8].starts_with("r6 ") && printed[8].contains("INC-7"), "{}", printed[8]);
    assert!(printed[9].starts_with("chain r1 to r6: "), "{}", printed[9]);
    Ok(())
}

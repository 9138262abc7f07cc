//! The README's tour, word for word.

use conn3ction_tests::{Conn3ction, root, shell};

#[test]
fn every_line_of_the_tour_works() -> anyhow::Result<()> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let tour = readme.split("<!-- tour").nth(1).and_then(|rest| rest.split("```sh\n").nth(1)?.split("```").next());
    let lines: Vec<&str> = tour.expect("the README has a tour").lines().collect();
    let data = tempfile::tempdir()?;
    let server = Conn3ction::start(data.path(), &[])?;
    let mut printed = Vec::new();
    for line in &lines {
        let line = line
            .replace("127.0.0.1:8080", &server.http.to_string())
            .replace("-p 1053", &format!("-p {}", server.dns.port()));
        printed.push(shell(&line)?);
    }
    assert_eq!(lines.len(), 9, "{lines:?}");
    assert_eq!(printed[0], r#"{"name":"app.example.local","type":"A","values":["10.1.2.3"],"ttl":60}"#);
    assert_eq!(printed[2], "10.1.2.3\n");
    assert_eq!(printed[4], "10.1.2.4\n");
    assert!(printed[5].contains("zone-imported"), "{}", printed[5]);
    assert!(printed[6].starts_with("30909 8 2 E2D3C916"), "{}", printed[6]);
    assert!(printed[7].contains("CHG-1 move app"), "{}", printed[7]);
    assert!(printed[8].starts_with(r#"{"ok":true"#), "{}", printed[8]);
    Ok(())
}

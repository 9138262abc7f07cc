//! TLS with client certificates, users and passwords: against a real etcd that insists on them.

use std::{fs, path::Path, process::Command, sync::Arc};

use conn3ction_ledger::{
    AppendError, Ledger,
    etcd::{
        ClientConfig, EtcdConfig, EtcdLedger, Password,
        etcd_client::{Certificate, Client, ConnectOptions, Identity, Permission, TlsOptions},
    },
};
use conn3ction_schemas::Revision;
use futures::StreamExt;
use tempfile::TempDir;

use super::{
    config,
    server::{Release, Server},
};
use crate::suite::make::{all, append, batch};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_a_user_are_needed_and_enough_on_the_newest_release() {
    tls_and_a_user_are_needed_and_enough(Release::New).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_a_user_are_needed_and_enough_on_debians_release() {
    tls_and_a_user_are_needed_and_enough(Release::Debian).await;
}

async fn tls_and_a_user_are_needed_and_enough(release: Release) {
    let directory = TempDir::new().unwrap();
    certificates(directory.path());
    let path = |name: &str| directory.path().join(name);
    let tls = ClientConfig {
        ca: Some(path("ca.pem")),
        identity: Some((path("client.pem"), path("client.key"))),
        ..ClientConfig::default()
    };
    let arguments = [
        format!("--cert-file={}", path("server.pem").display()),
        format!("--key-file={}", path("server.key").display()),
        format!("--trusted-ca-file={}", path("ca.pem").display()),
        "--client-cert-auth".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (ca, pem, key) = ["ca.pem", "client.pem", "client.key"].map(|name| fs::read(path(name)).unwrap()).into();
    let server = Server::start_in(directory, release, "https", &arguments, tls.clone()).await;
    let tls_options =
        TlsOptions::new().ca_certificate(Certificate::from_pem(ca)).identity(Identity::from_pem(pem, key));
    let mut admin =
        Client::connect([server.endpoint()], Some(ConnectOptions::new().with_tls(tls_options))).await.unwrap();
    admin.user_add("root", "root", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.role_add("ledger").await.unwrap();
    let all_of_it = Permission::read_write("/secure/").with_prefix();
    admin.role_grant_permission("ledger", all_of_it).await.unwrap();
    admin.user_add("conn3ction", "hunter2", None).await.unwrap();
    admin.user_grant_role("conn3ction", "ledger").await.unwrap();
    admin.auth_enable().await.unwrap();

    let connect = async |client: ClientConfig| {
        let endpoints = vec![server.endpoint().to_owned()];
        let base = config(server.endpoint(), "/secure");
        let config = EtcdConfig { client: ClientConfig { endpoints, ..client }, ..base };
        let text = format!("{config:?}");
        assert!(!text.contains("hunter2"), "{text}");
        Arc::new(EtcdLedger::connect(config).await.unwrap()) as Arc<dyn Ledger>
    };
    let user = |password: &str| Some(("conn3ction".to_owned(), Password::new(password)));

    let ledger = connect(ClientConfig { user: user("hunter2"), ..tls.clone() }).await;
    append(&ledger, 3).await;
    let head = append(&ledger, 2).await;
    assert_eq!(all(&ledger).await.len(), 5);
    let mut follower = ledger.follow(Revision(4));
    assert_eq!(follower.next().await.unwrap().unwrap().revision(), Revision(5));

    let strangers = [
        ClientConfig { user: user("hunter3"), ..tls.clone() },
        ClientConfig { user: None, ..tls.clone() },
        ClientConfig { user: user("hunter2"), identity: None, ..tls.clone() },
        ClientConfig { user: user("hunter2"), ca: None, ..tls.clone() },
    ];
    for stranger in strangers {
        let text = format!("{stranger:?}");
        let ledger = connect(stranger).await;
        assert!(ledger.head().await.is_err(), "{text}");
        let refused = ledger.append(&head, &batch(&head, 1)).await;
        assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{text}: {refused:?}");
    }
    assert_eq!(ledger.head().await.unwrap(), head);
}

/// A CA, and what it signed for the server at 127.0.0.1 and for a client.
fn certificates(directory: &Path) {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let ca = ["req", "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[&ca[..], &new_key].concat());
    // The client's certificate has no common name: etcd would take it for a user.
    for (name, subject, usage) in
        [("server", "/CN=etcd", "serverAuth,clientAuth"), ("client", "/O=conn3ction", "clientAuth")]
    {
        let (key, request, pem) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let extensions = format!("{name}.ext");
        let text = format!("subjectAltName=IP:127.0.0.1\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n");
        fs::write(directory.join(&extensions), text).unwrap();
        let new = ["req", "-subj", subject, "-keyout", &key, "-out", &request];
        openssl(&[&new[..], &new_key].concat());
        let sign = ["x509", "-req", "-days", "2", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key"];
        openssl(&[&sign[..], &["-CAcreateserial", "-extfile", &extensions, "-out", &pem]].concat());
    }
}

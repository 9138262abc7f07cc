//! Variables of the environment that look like settings and are none: a misspelt one would silently do nothing.

use clap::{Args, Command};

use super::{Fault, Settings};
use crate::http::nearest;

/// Our own that are no settings of a server: those of the command line, and what `bisect --run` gives its judge.
const OTHERS: [&str; 6] =
    ["CONN3CTION_URL", "CONN3CTION_TOKEN", "CONN3CTION_DATA", "CONN3CTION_NAME", "CONN3CTION_TYPE", "CONN3CTION_AT"];

/// A fault for each of `names` that begins as only ours do and is not ours. Where the name of a service of Kubernetes begins
/// with ours, every container near it is given `CONN3CTION_DNS_SERVICE_HOST`, `CONN3CTION_PORT_53_UDP` and their like: these
/// are let pass.
pub(super) fn faults(names: impl Iterator<Item = String>) -> Vec<Fault> {
    let settings = Settings::augment_args(Command::new("conn3ction"));
    let known = settings.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    let known: Vec<&str> = known.chain(OTHERS).collect();
    let mut faults = Vec::new();
    for name in names {
        let Some(rest) = name.strip_prefix("CONN3CTION_") else { continue };
        let words: Vec<&str> = rest.split('_').collect();
        let of_a_service = words.contains(&"PORT") || words.contains(&"SERVICE");
        if of_a_service || known.contains(&name.as_str()) {
            continue;
        }
        let ours = known.iter().copied().filter(|name| name.starts_with("CONN3CTION_"));
        let hint = nearest(&name, ours).map(|hint| format!("; {hint}")).unwrap_or_default();
        let detail = format!("in the environment, but no setting has this name{hint}");
        faults.push(Fault { place: None, setting: name.into(), detail });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_refused_and_others_of_the_environment_are_not() {
        let told = |name: &str| faults([name.to_owned()].into_iter()).pop().map(|fault| fault.to_string());
        let misspelt = told("CONN3CTION_LEDGR").expect("a fault");
        assert!(misspelt.contains("did you mean CONN3CTION_LEDGER?"), "{misspelt}");
        assert!(told("CONN3CTION_HOT_CEILING").is_some());
        for fine in [
            "CONN3CTION_LEDGER",
            "CONN3CTION_DATA",
            "CONN3CTION_HOT_FLOOR",
            "CONN3CTION_PORT_8080_TCP",
            "CONN3CTION_DNS_SERVICE_HOST",
            "CONN3CTION_DNS_PORT",
            "PATH",
        ] {
            assert_eq!(told(fine), None, "{fine}");
        }
    }
}

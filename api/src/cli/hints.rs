//! What a server's refusal means at the command line: the verb to type instead of the request to send.

use conn3ction_schemas::json;

use super::{
    Command,
    client::{Client, Failure},
};
use crate::http::{distance, nearest};

/// Zones that are listed; of more their number is said.
const LISTED: usize = 5;

/// What was typed, as far as a hint depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    /// `restore`.
    Restore,
    /// A change that could stand in a file of `apply`, or such a file.
    Change,
    /// Anything else.
    Other,
}

impl Typed {
    /// What `command` is.
    pub(super) fn of(command: &Command) -> Self {
        match command {
            Command::Restore(_) => Self::Restore,
            Command::Set(_) | Command::Add(_) | Command::Remove(_) | Command::Delete(_) | Command::Apply(_) => {
                Self::Change
            }
            _ => Self::Other,
        }
    }
}

/// The failure with hints for who types verbs. Where a zone is missing, the server is asked which there are.
pub(super) async fn ours(failure: Failure, client: &Client, typed: Typed) -> Failure {
    let Failure::Refused(mut problem) = failure else { return failure };
    if let Some((flag, rest)) = flag(&problem.detail) {
        // The header stands in no command.
        problem.detail = format!("{flag} {rest}");
        problem.errors.clear();
    }
    if let ("/problems/malformed", [error]) = (&*problem.kind, &mut problem.errors[..])
        && error.parameter.take().is_some()
    {
        // A word of the command was sent as a parameter: what is wrong with the word is all there is to say.
        problem.detail.clone_from(&error.detail);
    }
    let hint = match &*problem.kind {
        "/problems/token-needed" if problem.detail.contains("need") => Some("set CONN3CTION_TOKEN"),
        "/problems/token-needed" => Some("look at CONN3CTION_TOKEN"),
        "/problems/changed-since" => Some("look at what changed, then plan it again"),
        "/problems/record-exists" => Some("`set` replaces it"),
        "/problems/cname-conflict" if typed == Typed::Change => {
            Some("delete the one or the other before it, in the same file of apply")
        }
        _ => None,
    };
    let mut zones = None;
    if problem.errors.is_empty() && (hint.is_some() || missing(&problem.detail).is_some()) {
        problem.errors.push(json::ProblemError { detail: problem.detail.clone(), ..json::ProblemError::default() });
    }
    for error in &mut problem.errors {
        if let Some(name) = missing(&error.detail) {
            if zones.is_none() {
                let found: Result<Vec<json::ZoneJson>, _> = client.get(client.url(&["zones"], &[])).await;
                let mut names: Vec<String> = found.unwrap_or_default().into_iter().map(|zone| zone.name).collect();
                names.sort_unstable();
                zones = Some(names);
            }
            let is_owner = error.detail.ends_with(OUTSIDE);
            let zones = zones.as_deref().unwrap_or_default();
            let part = if is_owner { None } else { zone_above(name, zones) };
            error.hint = Some(match part {
                Some(zone) if typed == Typed::Restore => {
                    format!("it is a name: conn3ction restore {zone} --name {name} --to …")
                }
                Some(zone) => format!("{name} is a name in the zone {zone}"),
                None => about_zones(name, is_owner, zones),
            });
        } else if let Some(hint) = hint {
            // What a verb said is nearer to what was typed.
            let is_ours = error.hint.as_ref().is_some_and(|hint| hint.contains("conn3ction "));
            error.hint = if is_ours { error.hint.take() } else { Some(hint.into()) };
        } else if let (Some(hint), Typed::Restore | Typed::Other) = (&mut error.hint, typed) {
            // What these verbs send cannot have another change beside it.
            *hint = hint.replace(" in the same change set", " first");
        }
    }
    Failure::Refused(problem)
}

/// How the server says that a name lies in no zone.
const OUTSIDE: &str = " is in no zone here";

/// The name that has no zone, or is none.
fn missing(detail: &str) -> Option<&str> {
    // It was here: nobody mistyped it.
    if detail.contains("; it was ") {
        return None;
    }
    let detail = detail.strip_suffix(", now or before").unwrap_or(detail);
    if let Some(rest) = detail.strip_prefix("no zone ") {
        return rest.split([' ', ',', ':']).next().filter(|name| !name.is_empty());
    }
    [OUTSIDE, " is no zone here", " never was a zone here"].iter().find_map(|end| detail.strip_suffix(end))
}

/// The option that was sent as a header, and what is wrong with it.
fn flag(detail: &str) -> Option<(&'static str, &str)> {
    let flags = [("the header conn3ction-reason ", "-m"), ("the header conn3ction-actor ", "--actor")];
    flags.iter().find_map(|(header, flag)| Some((*flag, detail.strip_prefix(header)?)))
}

/// The last labels of `name`, as many as `zone` has.
fn end<'n>(name: &'n str, zone: &str) -> Option<&'n str> {
    let dots = zone.matches('.').count();
    let start = name.rmatch_indices('.').nth(dots).map_or(0, |(at, _)| at + 1);
    Some(&name[start..]).filter(|end| end.matches('.').count() == dots)
}

/// The zone that `name` lies in.
fn zone_above<'z>(name: &str, zones: &'z [String]) -> Option<&'z String> {
    zones.iter().filter(|zone| end(name, zone) == Some(zone)).max_by_key(|zone| zone.len())
}

fn about_zones(name: &str, is_owner: bool, zones: &[String]) -> String {
    let here = match zones {
        [] => "there is no zone here".to_owned(),
        few if few.len() <= LISTED => format!("zones here: {}", few.join(", ")),
        many => format!("{} zones are here: conn3ction zone list", many.len()),
    };
    let near = zones.iter().filter_map(|zone| {
        let end = end(name, zone)?;
        nearest(end, std::iter::once(zone.as_str()))?;
        Some((distance(end, zone), format!("{}{zone}", &name[..name.len() - end.len()])))
    });
    if let Some((_, near)) = near.min() {
        return format!("{here}; did you mean {near}?");
    }
    if !is_owner {
        return here;
    }
    if !name.contains('.') {
        let zone = zones.first().map_or("example.org", String::as_str);
        return format!("{here}; a name is written whole, such as {name}.{zone}");
    }
    let (_, parent) = name.split_once('.').unwrap_or(("", name));
    // Nobody who forgot a zone means a top-level domain.
    let zone = if parent.contains('.') { parent } else { name };
    format!("{here}; to make one: conn3ction zone create {zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_zone_is_told_with_the_nearest_or_with_the_verb_that_makes_it() {
        let zones = ["example.local".to_owned(), "shop.example".to_owned()];
        for (name, is_owner, told) in [
            ("www.shop.exmaple", true, "did you mean www.shop.example?"),
            ("shop.exmaple", false, "did you mean shop.example?"),
            ("b.shop.test", true, "to make one: conn3ction zone create shop.test"),
            ("shop.test", true, "to make one: conn3ction zone create shop.test"),
            ("www", true, "a name is written whole, such as www.example.local"),
            ("nope.test", false, "zones here: example.local, shop.example"),
        ] {
            let hint = about_zones(name, is_owner, &zones);
            assert!(hint.ends_with(told), "{name}: {hint}");
        }
        assert_eq!(zone_above("api.example.local", &zones), Some(&zones[0]));
        assert_eq!(about_zones("a.test", false, &[]), "there is no zone here");
        let like: Vec<_> = (10..30).map(|number| format!("z{number}.far")).collect();
        assert!(about_zones("a.zz12.far", true, &like).ends_with("; did you mean a.z12.far?"));
        let many: Vec<_> = (0..9).map(|number| format!("z{number}.far")).collect();
        assert!(about_zones("a.test", false, &many).starts_with("9 zones are here: conn3ction zone list"));
    }

    #[test]
    fn the_name_is_found_in_what_the_server_says() {
        for (detail, name) in [
            ("b.shop.test is in no zone here", Some("b.shop.test")),
            ("no zone nowhere", Some("nowhere")),
            ("no zone nowhere, now or before", Some("nowhere")),
            ("b.shop.test is in no zone here, now or before", Some("b.shop.test")),
            ("no zone old.test as of r3; it was created at r9", None),
            ("nope.example never was a zone here", Some("nope.example")),
            ("nope is no zone here", Some("nope")),
            ("x has no A set", None),
        ] {
            assert_eq!(missing(detail), name, "{detail}");
        }
    }
}

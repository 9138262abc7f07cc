//! Which request does what a plan shows.

use conn3ction_schemas::{
    Name, Revision,
    event::Hash,
    json::{ApplyTo, Plan},
};

use crate::{decide::Intent, import::Mode, path};

/// That of a command's plan; none of what comes as lines and is never planned here.
pub(super) fn command(intent: &Intent, plan: &Plan) -> Option<ApplyTo> {
    match intent {
        Intent::ChangeRecords(_) => Some(post("/changes".into())),
        Intent::CreateZone(_) => Some(post("/zones".into())),
        Intent::DeleteZone(apex) => {
            let if_match = Some(plan.decided_at.clone());
            Some(ApplyTo { method: "DELETE".into(), if_match, ..post(zone(apex, "")) })
        }
        Intent::Planned(_) => None,
    }
}

/// That of a restore's plan.
pub(super) fn restore(apex: &Name) -> ApplyTo {
    post(zone(apex, "/restore"))
}

/// That of a revert's plan.
pub(super) fn revert(revision: Revision) -> ApplyTo {
    post(format!("/events/{revision}/revert"))
}

/// That of an import's plan; its body is the file, so the plan names the file by its digest.
pub(super) fn import(apex: &Name, mode: Mode, file: Hash, plan: &Plan) -> ApplyTo {
    let mode = match mode {
        Mode::Merge => "merge",
        Mode::Replace => "replace",
    };
    let (if_match, file_sha256) = (Some(plan.decided_at.clone()), Some(file.to_string()));
    ApplyTo { if_match, file_sha256, ..post(zone(apex, &format!("/import?mode={mode}"))) }
}

fn zone(apex: &Name, rest: &str) -> String {
    format!("/zones/{}{rest}", path::segment(&apex.without_dot()))
}

fn post(path: String) -> ApplyTo {
    ApplyTo { method: "POST".into(), path, if_match: None, file_sha256: None }
}

//! What a server's state says of segments.

use std::collections::BTreeMap;

use crate::store::StoreError;
use crate::store::archive::record::Archived;
use crate::store::archive::segment::Segment;
use crate::store::redis::keys::{BASE_FIELD, Keys};
use crate::store::redis::reply::{corrupt, from_json};

/// Takes the fields about segments.
pub(super) fn parse(
    key: &str,
    fields: &mut BTreeMap<String, String>,
) -> Result<Archived, StoreError> {
    let base_place = format!("{key}[{BASE_FIELD}]");
    let base = fields.remove(BASE_FIELD);
    let base = base.map_or(Ok(0), |base| from_json(&base_place, &base))?;
    let mut segments = Vec::new();
    let named: Vec<String> =
        fields.keys().filter(|field| field.starts_with(Segment::FIELD)).cloned().collect();
    for field in named {
        let text = fields.remove(&field).unwrap_or_default();
        let place = format!("{key}[{field}]");
        let segment = Segment::parse(&field, &text).map_err(|what| corrupt(&place, what))?;
        segments.push(segment);
    }
    segments.sort_by_key(|segment| segment.first);
    Archived::new(base, segments).map_err(|what| corrupt(&base_place, what))
}

/// Checks that the chain goes on behind the segments, and that block 0 is kept beside it if, and only if, it is
/// in one. Returns the length of the chain.
pub(super) fn check(
    keys: &Keys,
    archived: &Archived,
    held: u64,
    genesis: bool,
) -> Result<u64, StoreError> {
    let base = archived.base();
    match (base > 0, genesis) {
        (true, false) => Err(corrupt(&keys.genesis, "missing, though block 0 is in a segment")),
        (false, true) => Err(corrupt(&keys.genesis, "there, though no segment is")),
        (true, true) if held == 0 => {
            Err(corrupt(&keys.chain, format!("missing, though segments end before block {base}")))
        }
        _ => Ok(base + held),
    }
}

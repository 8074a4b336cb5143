//! Who may call what: the one table. An RPC without a row is refused, and a test says so before it ships.

use crate::store::Role;

/// Every RPC of `shadowcat.admin.v1`, and the least role that may call it.
pub(crate) const ROLES: &[(&str, Role)] = &[
    ("/shadowcat.admin.v1.Configurations/Apply", Role::Editor),
    ("/shadowcat.admin.v1.Configurations/Plan", Role::Viewer),
    ("/shadowcat.admin.v1.Configurations/Diff", Role::Viewer),
    ("/shadowcat.admin.v1.Configurations/History", Role::Viewer),
    ("/shadowcat.admin.v1.Configurations/Get", Role::Viewer),
    ("/shadowcat.admin.v1.Configurations/Rollback", Role::Operator),
    ("/shadowcat.admin.v1.Configurations/Watch", Role::Viewer),
    ("/shadowcat.admin.v1.Nodes/List", Role::Viewer),
    ("/shadowcat.admin.v1.Nodes/Get", Role::Viewer),
    ("/shadowcat.admin.v1.Nodes/Drain", Role::Operator),
    ("/shadowcat.admin.v1.Nodes/Remove", Role::Admin),
    ("/shadowcat.admin.v1.Nodes/CreateJoinToken", Role::Admin),
    ("/shadowcat.admin.v1.Sessions/List", Role::Viewer),
    ("/shadowcat.admin.v1.Sessions/Get", Role::Viewer),
    ("/shadowcat.admin.v1.Sessions/End", Role::Operator),
    ("/shadowcat.admin.v1.Upstreams/List", Role::Viewer),
    ("/shadowcat.admin.v1.Upstreams/Get", Role::Viewer),
    ("/shadowcat.admin.v1.Tapes/List", Role::Viewer),
    ("/shadowcat.admin.v1.Tapes/Search", Role::Viewer),
    ("/shadowcat.admin.v1.Tapes/Read", Role::Operator),
    ("/shadowcat.admin.v1.Tapes/Tail", Role::Operator),
    ("/shadowcat.admin.v1.Tapes/Delete", Role::Admin),
    ("/shadowcat.admin.v1.Tapes/Hold", Role::Editor),
    ("/shadowcat.admin.v1.Tapes/Stats", Role::Viewer),
    ("/shadowcat.admin.v1.Fleets/List", Role::Viewer),
    ("/shadowcat.admin.v1.Fleets/Status", Role::Viewer),
    ("/shadowcat.admin.v1.Fleets/Traffic", Role::Viewer),
    ("/shadowcat.admin.v1.Fleets/ListAudit", Role::Admin),
];

/// The least role that may call an RPC; `None` if there is no such RPC.
pub(crate) fn needed(path: &str) -> Option<Role> {
    ROLES.iter().find(|(row, _)| *row == path).map(|(_, role)| *role)
}

/// An RPC as audit records name it: `configurations.apply`, `nodes.create_join_token`.
pub(crate) fn verb(path: &str) -> String {
    let (service, method) = path.rsplit_once('/').unwrap_or(("", path));
    let service = service.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let mut verb = service + ".";
    for (index, letter) in method.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            verb.push('_');
        }
        verb.push(letter.to_ascii_lowercase());
    }
    verb
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;

    use super::*;

    fn described() -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(shadowcat_proto::DESCRIPTORS).unwrap();
        let files = set.file.iter().filter(|file| file.package() == "shadowcat.admin.v1");
        let services = files.flat_map(|file| &file.service);
        services
            .flat_map(|service| {
                service.method.iter().map(|method| format!("/shadowcat.admin.v1.{}/{}", service.name(), method.name()))
            })
            .collect()
    }

    #[test]
    fn every_rpc_of_the_schema_has_exactly_one_row_and_no_row_is_of_anything_else() {
        let rows: BTreeSet<String> = ROLES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(rows, described());
        assert_eq!(rows.len(), ROLES.len(), "a row is there twice");
    }

    #[test]
    fn what_is_in_no_row_needs_a_role_that_nobody_has() {
        assert_eq!(needed("/shadowcat.admin.v1.Nodes/Explode"), None);
    }

    #[test]
    fn verbs_read_as_audit_records_print_them() {
        assert_eq!(verb("/shadowcat.admin.v1.Configurations/Apply"), "configurations.apply");
        assert_eq!(verb("/shadowcat.admin.v1.Nodes/CreateJoinToken"), "nodes.create_join_token");
    }
}

/**
 * What holds in a project that has no policy of its own, and what `varve new policy` begins with. It asks for nothing that the
 * environments, keys and approvals do not ask for already: a policy stands beside these and takes none of them away.
 */
export const BUILT_IN_POLICY = `// Who may do what. Cedar decides: what no permit names is denied, a forbid wins, and a policy that cannot be evaluated denies.
// The words of a request: docs/guides/policy.md.

// Whoever cannot be named decides nothing: no receipt could say who it was.
@id("nameless")
forbid (principal == Principal::"user:unknown", action, resource);

// Looking changes nothing, and neither does trying on a copy.
@id("look")
permit (principal, action in [Action::"plan", Action::"rehearse"], resource);

// Whose key signs where, the register of keys says.
@id("approve")
permit (principal, action == Action::"approve", resource)
when { principal.role == "approver" };

// Who approves does not run, and what has to be signed and rehearsed before: the environments say that.
@id("run")
permit (principal, action in [Action::"apply", Action::"rollback", Action::"retire"], resource)
when { principal.role == "runner" };
`;

namespace Mgmt.Core;

/// <summary>How a VM's process ended. Reason is a word: <c>guest-shutdown</c>, <c>killed</c>, <c>signal-9</c>, <c>exit-1</c>, <c>guest-panicked</c>, <c>unseen</c>.</summary>
public sealed record VmExit(bool Crashed, string Reason);

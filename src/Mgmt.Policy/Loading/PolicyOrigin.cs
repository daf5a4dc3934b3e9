using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>What a set was read from, enough to read it again.</summary>
/// <param name="Directories">The policy directories, the runtime one first.</param>
/// <param name="Inputs">The files, each once, in load order.</param>
/// <param name="Listed">The directories that were included as a whole.</param>
internal sealed record PolicyOrigin(ImmutableArray<PolicyDirectory> Directories, ImmutableArray<PolicyFile> Inputs, ImmutableArray<string> Listed);

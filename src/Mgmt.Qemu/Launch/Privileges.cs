using System.Collections.Immutable;
using System.Globalization;

namespace Mgmt.Qemu;

/// <summary>
/// How a VM's process loses root before QEMU begins: setpriv, not QEMU's own -runas, which its sandbox forbids.
/// Nothing in session mode.
/// </summary>
internal sealed record Privileges(bool Drop, int UidBase, int? KvmGroup)
{
    /// <summary>What stands before QEMU's command line for a VM of that qid.</summary>
    public ImmutableArray<string> Prefix(int qid)
    {
        if (!Drop)
        {
            return [];
        }
        var id = (UidBase + qid).ToString(CultureInfo.InvariantCulture);
        var groups = KvmGroup is { } group ? $"--groups={group.ToString(CultureInfo.InvariantCulture)}" : "--clear-groups";
        return ["setpriv", $"--reuid={id}", $"--regid={id}", groups, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"];
    }
}

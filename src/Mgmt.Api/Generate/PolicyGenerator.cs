using System.Text;

namespace Mgmt.Api;

/// <summary>
/// The default policy: one line per call that takes its rules from the role file of its scope and access. Nobody is in a role until
/// an administrator puts a line there.
/// </summary>
internal static class PolicyGenerator
{
    private const string Header = "# Generated from the call table by `make generate`; do not edit.\n";

    internal static void AddTo(IDictionary<string, string> files, CallTable table)
    {
        var text = new StringBuilder(Header);
        text.Append("# Each call takes its rules from a role: include/mgmt-{vm,host}-{ro,rwx}. Read calls are in ro, all others in rwx; ro includes rwx of\n");
        text.Append("# the same scope. Put your own rules into files with a lower number, such as 30-user.policy: the first rule that matches decides.\n\n");
        // A service of Qubes OS is no management call: the roles' lines, which are for those, do not allow it.
        foreach (var row in table.Rows.Where(row => row.Dialects != CallDialects.Own))
        {
            text.Append($"!include-service mgmt.{row.Name} * include/{Role(row)}\n");
        }
        files["policy/90-mgmt-default.policy"] = text.ToString();
        foreach (var (scope, what) in new[] { ("vm", "single VMs"), ("host", "the host, and with it every VM") })
        {
            files[$"policy/include/mgmt-{scope}-ro"] = Header
                + $"# Who may read what concerns {what}. One line per grant, SOURCE TARGET ACTION, for example:\n"
                + (scope == "vm" ? "#   monitor @tag:monitored allow target=dom0\n" : "#   monitor @adminvm allow\n")
                + $"!include include/mgmt-{scope}-rwx\n";
            files[$"policy/include/mgmt-{scope}-rwx"] = Header
                + $"# Who may read, change and execute what concerns {what}. One line per grant, SOURCE TARGET ACTION, for example:\n"
                + (scope == "vm" ? "#   mgmt @tag:created-by-mgmt allow target=dom0\n" : "#   mgmt @adminvm allow\n");
        }
    }

    internal static string Role(CallRow row) => $"mgmt-{(row.Scope == CallScope.Vm ? "vm" : "host")}-{(row.Access == CallAccess.Read ? "ro" : "rwx")}";
}

using System.Globalization;
using System.Text;

namespace Mgmt.Bench;

/// <summary>Rules as administrators write them, many times over.</summary>
internal static class RuleFiles
{
    private static readonly string[] Services = ["mgmt.vm.property.Get", "mgmt.vm.Start", "admin.vm.Shutdown", "mgmt.vm.feature.Set", "qubes.Filecopy", "mgmt.Events", "qubes.GetDate", "mgmt.vm.volume.Resize"];
    private static readonly string[] Arguments = ["*", "+memory", "+", "+netvm+sys-net", "*"];
    private static readonly string[] Actions = ["allow", "deny", "allow target=dom0", "ask default_target=dom0", "deny notify=no", "allow target=dom0 notify=yes"];

    public static int Write(int count, string file)
    {
        var text = new StringBuilder();
        for (var i = 0; i < count; i++)
        {
            var source = i % 3 == 0 ? $"@tag:team-{i % 97}" : $"vm-{i % 1009}";
            var target = i % 5 == 0 ? $"@tag:managed-{i % 89}" : i % 7 == 0 ? "@anyvm" : $"vm-{i % 1013}";
            text.Append(CultureInfo.InvariantCulture, $"{Services[i % Services.Length]}  {Arguments[i % Arguments.Length]}  {source}  {target}  {Actions[i % Actions.Length]}\n");
        }
        File.WriteAllText(file, text.ToString());
        return 0;
    }
}

using Mgmt.Api;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The admin.* dialect as clients of Qubes OS 4.4 know it, byte for byte.</summary>
public sealed class DialectTests : DaemonFixture
{
    public static IEnumerable<Scenario> Formats => Scenario.Read("formats.json");

    public static IEnumerable<Scenario> Happenings => Scenario.Read("events.json");

    public static IEnumerable<Scenario> Tools => Scenario.Read("tools.json");

    public static IEnumerable<string[]> Calls => File.ReadLines(Path.Combine(Repository.Root, "tests", "mgmtd.Tests", "Dialect", "calls.txt"))
        .Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    protected override DaemonOptions Options => new()
    {
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-dialect.policy"] = """
                mgmt.vm.property.GetAll * vault work allow
                mgmt.vm.property.Get +memory vault work allow
                mgmt.vm.property.Get +label vault work allow

                """,
        },
    };

    [TestCaseSource(nameof(Formats))]
    public Task A_reply_has_the_bytes_that_clients_expect(Scenario scenario) => ScenarioRun.PlayAsync(Daemon, scenario, "debian");

    [TestCaseSource(nameof(Happenings))]
    public Task Events_come_with_the_names_keys_and_order_that_clients_expect(Scenario scenario) => ScenarioRun.PlayAsync(Daemon, scenario, "debian");

    [TestCaseSource(nameof(Tools))]
    public Task A_tool_gets_what_it_needs(Scenario scenario) => ScenarioRun.PlayAsync(Daemon, scenario, "debian");

    [TestCaseSource(nameof(Calls))]
    public void A_call_is_known_with_the_shape_it_has_today(string[] call)
    {
        var row = CallGroups.ForReading().Rows.FirstOrDefault(row => row.Name == call[0]);
        if (row is null && call.Contains("later"))
        {
            return;
        }
        Assert.That(row, Is.Not.Null, $"admin.{call[0]} is missing");
        var target = row!.Target switch { CallTarget.Dom0 => "dom0", CallTarget.Vm => "vm", _ => "any" };
        var argument = row.Argument.Name is null || row.Argument.MgmtOnly ? "none" : row.Argument.IsRequired ? "required" : "optional";
        Assert.That(row.Dialects, Is.EqualTo(CallDialects.Both));
        Assert.That(new[] { target, argument, row.Payload.Kind.ToString().ToLowerInvariant() }, Is.EqualTo(call[1..4]));
    }
}

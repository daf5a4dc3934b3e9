using System.Text.Json;

namespace Mgmt.Policy.Tests;

/// <summary>Every case of vectors/policy-cases.jsonl, on disk, against the answers of qrexec's own engine.</summary>
[TestFixture]
public sealed class PolicyCaseTests
{
    public static IEnumerable<TestCaseData> Cases() => File
        .ReadLines(Path.Join(AppContext.BaseDirectory, "vectors", "policy-cases.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Select(json => new TestCaseData(json).SetArgDisplayNames(json.GetProperty("case").GetProperty("id").GetString()!));

    [TestCaseSource(nameof(Cases))]
    public void Decides_as_qrexec_does(JsonElement json)
    {
        using var directory = new TemporaryDirectory();
        var subject = json.GetProperty("case");
        var load = PolicySet.Load(Write(subject, directory), Sets.Pure with { LegacyDirectory = directory["old"] });
        var expected = json.GetProperty("expect");
        if (expected.ValueKind == JsonValueKind.Object)
            CheckError(expected, load, directory["old"]);
        else
            CheckAnswers(subject, expected, load, directory["old"]);
    }

    [Test]
    public void All_260_cases_are_there() => Assert.That(Cases().Count(), Is.EqualTo(260));

    private static PolicySource Write(JsonElement subject, TemporaryDirectory directory)
    {
        var etc = directory["etc"];
        WriteFiles(subject.GetProperty("policy"), etc, etc);
        if (subject.TryGetProperty("runtime_policy", out var runtime))
            WriteFiles(runtime, directory["run"], etc);
        if (subject.TryGetProperty("legacy_policy", out var legacy))
            WriteFiles(legacy, directory["old"], etc);
        return PolicySource.FromDirectories(new PolicyDirectory(directory["run"], MayBeMissing: true), new PolicyDirectory(etc));
    }

    private static void WriteFiles(JsonElement files, string root, string policyDirectory)
    {
        Directory.CreateDirectory(root);
        foreach (var file in files.EnumerateObject())
        {
            var path = Path.Join(root, file.Name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            if (!file.Name.EndsWith('/'))
                File.WriteAllText(path, file.Value.GetString()!.Replace("%POLICYDIR%", policyDirectory));
        }
    }

    private static void CheckError(JsonElement expected, PolicyLoad load, string legacy)
    {
        Assert.That(load.Set, Is.Null);
        if (expected.TryGetProperty("line", out var line) && line.ValueKind == JsonValueKind.Number)
        {
            var file = Place(expected.GetProperty("file").GetString()!, legacy);
            Assert.That(load.Errors.Select(error => (error.File, error.Line)), Does.Contain((file, line.GetInt32())));
        }
    }

    private static void CheckAnswers(JsonElement subject, JsonElement expected, PolicyLoad load, string legacy)
    {
        Assert.That(load.Errors, Is.Empty);
        var domains = TestDomains.Parse(subject.GetProperty("system_info"));
        var requests = subject.GetProperty("requests").EnumerateArray().ToList();
        Assert.That(expected.GetArrayLength(), Is.EqualTo(requests.Count));
        for (var i = 0; i < requests.Count; i++)
        {
            var request = Parse(requests[i]);
            Check(expected[i], load.Set!.Evaluate(request, domains), domains.Find(request.Source), legacy, request.ToString());
        }
    }

    private static PolicyRequest Parse(JsonElement json)
    {
        var argument = json.GetProperty("arg").GetString()!;
        return new PolicyRequest(json.GetProperty("service").GetString()!, argument.StartsWith('+') ? argument : "+" + argument, json.GetProperty("source").GetString()!, json.GetProperty("target").GetString()!)
        {
            RequestedSource = json.TryGetProperty("requested_source", out var requested) ? requested.GetString() : null,
        };
    }

    private static void Check(JsonElement expected, PolicyDecision actual, DomainInfo? source, string legacy, string about)
    {
        if (expected.TryGetProperty("error", out _))
        {
            Assert.That(actual, Is.TypeOf<PolicyDecision.RequestError>(), about);
            return;
        }
        Assert.That(actual.Rule, Is.EqualTo(Text(expected, "rule") is { } rule ? Place(rule, legacy) : null), about);
        var narrowed = expected.GetProperty("decision").GetString() == "ask" && CheckAsk(expected, actual, source, about);
        if (!narrowed)
            Assert.That(actual.Notify, Is.EqualTo(expected.GetProperty("notify").GetBoolean()), about);
        switch (expected.GetProperty("decision").GetString())
        {
            case "allow":
                var allow = actual as PolicyDecision.Allow;
                Assert.That((allow?.Target, allow?.User, allow?.Autostart, allow?.Refused is not null), Is.EqualTo((Text(expected, "target"), User(expected), (bool?)expected.GetProperty("autostart").GetBoolean(), expected.TryGetProperty("refused", out _))), about);
                break;
            case "deny":
                Assert.That((actual as PolicyDecision.Deny)?.Reason.ToString(), Is.EqualTo(Text(expected, "reason")?.Replace("_", "")).IgnoreCase, about);
                break;
        }
    }

    // Gives whether the answer is narrower than qrexec's: only dom0 and the default disposable have a second spelling that a deny can miss.
    private static bool CheckAsk(JsonElement expected, PolicyDecision actual, DomainInfo? source, string about)
    {
        var offered = expected.GetProperty("targets_for_ask").EnumerateArray().Select(target => target.GetString()!).ToHashSet();
        var ask = actual as PolicyDecision.Ask;
        var targets = ask?.Targets ?? [];
        Assert.That(targets, Is.SubsetOf(offered), about);
        Assert.That(offered.Except(targets), Is.SubsetOf(new[] { "dom0", "@dispvm:" + source?.DefaultDispvm }), about);
        if (ask is null)
        {
            Assert.That((actual as PolicyDecision.Deny)?.Reason, Is.EqualTo(DenyReason.NoAskTargets), about);
            return true;
        }
        var preselected = Text(expected, "default_target");
        Assert.That(ask.DefaultTarget, Is.EqualTo(preselected is not null && targets.Contains(preselected) ? preselected : null), about);
        Assert.That((ask.User, ask.Autostart), Is.EqualTo((User(expected), expected.GetProperty("autostart").GetBoolean())), about);
        return false;
    }

    private static string Place(string text, string legacy) => text.Replace("run:", "").Replace("old:", legacy + "/");

    // The engine keeps an empty user= and then treats it as none.
    private static string? User(JsonElement json) => Text(json, "user") is { Length: > 0 } user ? user : null;

    private static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;
}

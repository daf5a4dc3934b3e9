using System.Text.Json;

namespace Mgmt.Policy.Tests;

/// <summary>Every case of vectors/policy-cases.jsonl, on disk, against the answers of qrexec's own engine.</summary>
[TestFixture]
public sealed class PolicyCaseTests
{
    // Sets with !include-dir or !compat-4.0, load errors for now.
    private static readonly HashSet<string> Unsupported = [.. "6 7 8 10 15 17 36 37 39 40 42 45 46 54 56 72 73 75 80 89 90 94 98 100 105 106 111 113 115 118 119 126 131 146 148 152 158 160 163 164 165 169 170 171 174 176 179 201 206 208 210 211 212 213 214 220 223 225 231 233 236 237 238 242 245 250 257 258"
        .Split(' ').Select(number => "1001:" + number)];

    public static IEnumerable<TestCaseData> Cases() => File
        .ReadLines(Path.Join(AppContext.BaseDirectory, "vectors", "policy-cases.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Select(json => new TestCaseData(json).SetArgDisplayNames(json.GetProperty("case").GetProperty("id").GetString()!));

    [TestCaseSource(nameof(Cases))]
    public void Decides_as_qrexec_does(JsonElement json)
    {
        using var directory = new TemporaryDirectory();
        var subject = json.GetProperty("case");
        var load = PolicySet.Load(Write(subject, directory), Sets.Pure);
        var expected = json.GetProperty("expect");
        if (expected.ValueKind == JsonValueKind.Object)
            CheckError(expected, load);
        else if (Unsupported.Contains(subject.GetProperty("id").GetString()!))
            Assert.That(load.Errors.Select(error => error.Message), Has.Some.EndsWith("is not supported yet"));
        else
            CheckAnswers(subject, expected, load);
    }

    [Test]
    public void Unsupported_cases_are_68_of_260() =>
        Assert.That((Cases().Count(), Unsupported.Count), Is.EqualTo((260, 68)));

    private static PolicySource Write(JsonElement subject, TemporaryDirectory directory)
    {
        var etc = directory["etc"];
        WriteFiles(subject.GetProperty("policy"), etc, etc);
        if (subject.TryGetProperty("runtime_policy", out var runtime))
            WriteFiles(runtime, directory["run"], etc);
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

    private static void CheckError(JsonElement expected, PolicyLoad load)
    {
        Assert.That(load.Set, Is.Null);
        if (expected.TryGetProperty("line", out var line) && line.ValueKind == JsonValueKind.Number)
        {
            var file = expected.GetProperty("file").GetString()!;
            var errors = load.Errors.Where(error => !error.Message.EndsWith("is not supported yet")).ToList();
            if (!file.StartsWith("old:"))
                Assert.That(errors.Select(error => (error.File, error.Line)), Does.Contain((file.Replace("run:", ""), line.GetInt32())));
        }
    }

    private static void CheckAnswers(JsonElement subject, JsonElement expected, PolicyLoad load)
    {
        Assert.That(load.Errors, Is.Empty);
        var domains = TestDomains.Parse(subject.GetProperty("system_info"));
        var requests = subject.GetProperty("requests").EnumerateArray().ToList();
        Assert.That(expected.GetArrayLength(), Is.EqualTo(requests.Count));
        for (var i = 0; i < requests.Count; i++)
        {
            var request = Parse(requests[i]);
            Check(expected[i], load.Set!.Evaluate(request, domains), domains.Find(request.Source), request.ToString());
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

    private static void Check(JsonElement expected, PolicyDecision actual, DomainInfo? source, string about)
    {
        if (expected.TryGetProperty("error", out _))
        {
            Assert.That(actual, Is.TypeOf<PolicyDecision.RequestError>(), about);
            return;
        }
        Assert.That(actual.Rule, Is.EqualTo(Text(expected, "rule")?.Replace("run:", "")), about);
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

    // The engine keeps an empty user= and then treats it as none.
    private static string? User(JsonElement json) => Text(json, "user") is { Length: > 0 } user ? user : null;

    private static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;
}

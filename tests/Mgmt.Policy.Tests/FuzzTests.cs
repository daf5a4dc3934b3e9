using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Policy.Tests;

/// <summary>
/// Mutated policies and questions (`make fuzz`). An input that leads to messages or answers never seen together before is mutated further. What fails is
/// kept below out/fuzz; mended, it becomes a line of vectors/finds.jsonl.
/// </summary>
[TestFixture]
[CancelAfter(120_000)]
public sealed partial class FuzzTests
{
    private const int Corpus = 4000;
    private static readonly string[] Names = ["30-x.policy", "40-y.policy", "include/a", "include/b", "include/30-z.policy", "Foo.policy", ".x.policy", "d/10-x.policy"];
    private static readonly string[] Vms = ["work", "vault", "dom0", "@default", "@dispvm", "@dispvm:dvm", "@dispvm:@tag:d", "nobody", "uuid:00000000-0000-0000-0000-000000000000", "*", "@tag:team", ""];

    private static int _walks;

    [Test]
    public void Mutated_policies_load_or_tell_why_and_answer_every_question()
    {
        var donors = Donors();
        var corpus = donors.Select(text => new Dictionary<string, byte[]> { ["30-x.policy"] = text }).ToList();
        var seen = new HashSet<string>();
        foreach (var seed in FuzzRun.Seeds(3000))
        {
            var random = new Random(seed);
            var files = Mutate(random, corpus[random.Next(corpus.Count)], donors);
            var signature = Guard($"policy-{seed}.json", () => Case(files), () => Try(files, random));
            if (seen.Add(signature) && corpus.Count < Corpus)
                corpus.Add(files);
        }
        Assert.That(seen, Has.Count.GreaterThan(100), "mutations that all end alike try nothing");
        Assert.That(_walks, Is.GreaterThan(20));
    }

    [Test]
    public void Mutated_cases_and_documents_are_read_or_refused()
    {
        var lines = File.ReadLines(Path.Join(AppContext.BaseDirectory, "vectors", "policy-cases.jsonl")).Take(40).Select(Encoding.UTF8.GetBytes).ToList();
        foreach (var seed in FuzzRun.Seeds(600))
        {
            var random = new Random(seed);
            var bytes = new PolicyMutator(random, lines).Mutate(lines[random.Next(lines.Count)]);
            Guard($"case-{seed}.json", () => bytes, () =>
            {
                Refused(() => Answer(bytes));
                Refused(() => SystemInfo.Parse(bytes));
                Refused(() => PolicySet.Load(PolicyDocument.Read(bytes).Source, Sets.Daemon));
                Refused(() => PolicyExplanationText.Parse(Encoding.UTF8.GetString(bytes)));
                return "";
            });
        }
    }

    [Test]
    public void What_was_found_stays_mended()
    {
        foreach (var line in File.ReadLines(Path.Join(AppContext.BaseDirectory, "vectors", "finds.jsonl")))
        {
            var files = JsonDocument.Parse(line).RootElement.GetProperty("case").GetProperty("policy").EnumerateObject()
                .ToDictionary(file => file.Name, file => file.Value.ValueKind == JsonValueKind.String ? Encoding.UTF8.GetBytes(file.Value.GetString()!) : file.Value.GetProperty("b64").GetBytesFromBase64());
            for (var seed = 0; seed < 20; seed++)
                Try(files, new Random(seed));
        }
    }

    private static Dictionary<string, byte[]> Mutate(Random random, Dictionary<string, byte[]> from, IReadOnlyList<byte[]> donors)
    {
        var (files, mutator) = (new Dictionary<string, byte[]>(from), new PolicyMutator(random, donors));
        var name = files.Keys.ElementAt(random.Next(files.Count));
        switch (random.Next(8))
        {
            case 0: files[Names[random.Next(Names.Length)]] = mutator.Mutate(donors[random.Next(donors.Count)]); break;
            case 1 when files.Count > 1: files.Remove(name); break;
            case 2: files[name] = [.. files[name], .. Encoding.UTF8.GetBytes($"\n!include{(random.Next(2) == 0 ? "" : "-service s *")} {Names[random.Next(Names.Length)]}\n")]; break;
            default: files[name] = mutator.Mutate(files[name]); break;
        }
        return files;
    }

    // Gives what an input led to, in words that many inputs share.
    private static string Try(Dictionary<string, byte[]> files, Random random)
    {
        var source = PolicySource.FromFiles(files.ToDictionary(file => file.Key, file => (ReadOnlyMemory<byte>)file.Value));
        var options = random.Next(2) == 0 ? Sets.Daemon : Sets.Pure with { ConfineIncludes = true };
        var load = PolicySet.Load(source, options);
        Require(load.Set is null == load.Errors.Count > 0, "a set, or errors");
        Require(load.Errors.All(error => error is { Line: > 0, Column: > 0, Message.Length: > 0, File.Length: > 0 }), "an error has a place and a text");
        var report = PolicyLint.Check(source, options, TestDomains.Office());
        Require(report.Warnings.All(warning => warning is { Line: > 0, Column: > 0 }), "a warning has a place");
        var words = new SortedSet<string>(load.Errors.Select(error => error.Message).Concat(report.Warnings.Select(warning => warning.Message)).Select(Shape), StringComparer.Ordinal);
        if (load.Set is { } set)
        {
            var questions = Enumerable.Range(0, 8).Select(_ => Question(random)).ToList();
            words.UnionWith(questions.Select(question => AskAll(set, question)));
            if (files.Count == 1 && files.TryGetValue("30-x.policy", out var text) && random.Next(8) == 0)
                CompareWithAWalk(set, text, options, questions);
            Reload(set, options);
        }
        return string.Join('\n', words);
    }

    private static string AskAll(PolicySet set, PolicyRequest request)
    {
        var domains = TestDomains.Office();
        var (call, pure, explanation) = (set.DecideCall(request, domains), set.Evaluate(request, domains), PolicyExplanation.Of(set, request, domains));
        var text = PolicyExplanationText.Write(explanation);
        Require(PolicyExplanationText.Write(PolicyExplanationText.Parse(text)) == text, "an explanation read is the one that was written");
        Require(explanation.Outcome == PolicyOutcome.Of(set, request, domains), "an explanation has the answer");
        Require(set.FilesFor(request.Service).All(set.Files.Contains), "files are those of the set");
        return $"{call.Allowed} {call.IsAsk} {Shape(call.Reason)} {pure.GetType().Name} {(pure as PolicyDecision.Deny)?.Reason} {explanation.NearMisses.Count > 0} {explanation.TagChanges.Count > 0}";
    }

    // A set of one line says whether that rule matches; the first that does decides.
    private static void CompareWithAWalk(PolicySet set, byte[] text, PolicyOptions options, List<PolicyRequest> questions)
    {
        var lines = Encoding.UTF8.GetString(text).Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n').Split('\n');
        if (lines.Length > 40 || lines.Any(line => line.Contains('!', StringComparison.Ordinal)))
            return;
        var alone = lines.Select(line => PolicySet.Load(PolicySource.FromFiles(new Dictionary<string, ReadOnlyMemory<byte>> { ["30-x.policy"] = Encoding.UTF8.GetBytes(line) }), options with { BuiltinRule = false }).Set!).ToList();
        _walks++;
        foreach (var question in questions)
        {
            var first = alone.FindIndex(one => one.Evaluate(question, TestDomains.Office()).Rule is not null);
            var rule = set.Evaluate(question, TestDomains.Office()).Rule;
            Require((rule == "builtin:1" ? null : rule) == (first < 0 ? null : $"30-x.policy:{first + 1}"), $"line {first + 1} decides {question}, not {rule}");
        }
    }

    private static PolicyRequest Question(Random random)
    {
        string[] services = ["s", "mgmt.vm.Start", "admin.vm.Start", "mgmt.vm.property.Set", "qubes.Filecopy"];
        string Pick(string[] from) => from[random.Next(from.Length)];
        return new PolicyRequest(Pick(services), Pick(["", "+", "+x", "+netvm", "x"]), Pick(Vms), Pick(Vms))
        {
            ValueArgument = random.Next(4) == 0 ? "+netvm+sys-net" : null,
            RequestedSource = random.Next(16) == 0 ? Pick(Vms) : null,
        };
    }

    // What mgmtctl gets from a daemon is the same set.
    private static void Reload(PolicySet set, PolicyOptions options)
    {
        var buffer = new ArrayBufferWriter<byte>();
        PolicyDocument.Write(new PolicySnapshot(set, false, DateTimeOffset.UnixEpoch, []), buffer);
        var document = PolicyDocument.Read(buffer.WrittenMemory);
        Require(document.Outside.Count > 0 || PolicySet.Load(document.Source, options).Set?.Digest == set.Digest, "a set that is sent is the same");
    }

    private static void Answer(byte[] bytes)
    {
        using var document = JsonDocument.Parse(bytes);
        using var writer = new Utf8JsonWriter(new ArrayBufferWriter<byte>());
        PolicyCase.Answer(document.RootElement, writer, null, null);
    }

    private static void Refused(Action action)
    {
        try
        {
            action();
        }
        catch (Exception error) when (error is JsonException or MgmtException)
        {
        }
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
            throw new InvalidOperationException("not so: " + what);
    }

    private static string Guard(string name, Func<byte[]> input, Func<string> attempt)
    {
        try
        {
            return attempt();
        }
        catch (Exception error)
        {
            throw new AssertionException($"{error.GetType().Name}: {error.Message}; kept as {FuzzRun.Keep(name, input())}", error);
        }
    }

    private static byte[] Case(Dictionary<string, byte[]> files) =>
        JsonSerializer.SerializeToUtf8Bytes(new { @case = new { policy = files.ToDictionary(file => file.Key, file => new { b64 = file.Value }) } });

    // The shipped files, what the vectors have, and what was found before.
    private static List<byte[]> Donors()
    {
        var shipped = Directory.EnumerateFiles(Path.Join(Repository.Root, "policy"), "*", SearchOption.AllDirectories).Select(File.ReadAllBytes).Where(bytes => bytes.Length < 20_000);
        var vectors = File.ReadLines(Path.Join(AppContext.BaseDirectory, "vectors", "policy-cases.jsonl"))
            .Concat(File.ReadLines(Path.Join(AppContext.BaseDirectory, "vectors", "finds.jsonl")))
            .SelectMany(line => JsonDocument.Parse(line).RootElement.GetProperty("case").GetProperty("policy").EnumerateObject())
            .Where(file => file.Value.ValueKind == JsonValueKind.String).Select(file => Encoding.UTF8.GetBytes(file.Value.GetString()!));
        return [.. shipped, .. vectors];
    }

    // A message without what it quotes.
    private static string Shape(string message) => Quoted().Replace(message, "_");

    [GeneratedRegex("'[^']*'|[^ ]*:[0-9None]+|[0-9]+|[^ ]*/[^ ]*|target=[^ ]*|@[^ ]*")]
    private static partial Regex Quoted();
}

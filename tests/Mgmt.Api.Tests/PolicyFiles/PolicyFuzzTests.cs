using System.Text;
using Mgmt.Core;
using Mgmt.Policy;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.PolicyFiles;

/// <summary>
/// Calls of mgmt.policy.* with mutated names, tokens, files and questions (`make fuzz`). Whatever is said, the call is served or refused, the files on
/// disk make a whole policy, and who may change it still may, unless forced.
/// </summary>
[CancelAfter(120_000)]
public sealed class PolicyFuzzTests
{
    private const string Editor = "mgmt.policy.Replace * work dom0 allow\nmgmt.policy.Remove * work dom0 allow\nmgmt.policy.Revert * work dom0 allow\n"
        + "mgmt.policy.include.Replace * work dom0 allow\nmgmt.policy.include.Remove * work dom0 allow\nmgmt.policy.include.Revert * work dom0 allow\n"
        + "mgmt.policy.Eval * work dom0 allow\nmgmt.policy.Explain * work dom0 allow\nmgmt.policy.Get * work dom0 allow\nmgmt.policy.GetFiles * work dom0 allow\n";

    private static readonly string[] Calls = ["List", "Get", "Replace", "Replace", "Replace", "Remove", "History", "Revert", "GetFiles", "Eval", "Explain", "Export", "include.Replace", "include.Replace", "include.Remove", "include.Revert", "include.List", "include.Get"];
    private static readonly string[] Files = ["30-test", "40-x", "a", "Foo", "..", "a.b", "", "30-test.policy", "role", "x+y"];
    private static readonly string[] Tokens = ["any", "new", "force:any", "force:new", "sha256:00", "Any", "", "any\r", "\0", "force:"];

    [Test]
    public async Task A_call_with_anything_in_it_is_served_or_refused_and_leaves_a_whole_policy()
    {
        await using var daemon = await Daemon.OpenAsync(policy: Editor);
        List<byte[]> donors = [Encoding.UTF8.GetBytes(Editor), .. Directory.EnumerateFiles(Path.Join(Repository.Root, "policy"), "*", SearchOption.AllDirectories).Select(File.ReadAllBytes)];
        var codes = new HashSet<ErrorCode?>();
        foreach (var seed in FuzzRun.Seeds(400))
        {
            var random = new Random(seed);
            var (method, argument, source, payload) = Make(random, new PolicyMutator(random, donors), donors);
            try
            {
                codes.Add(await CallAsync(daemon, method, argument, source, payload));
                CheckWhole(daemon);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                throw new AssertionException($"seed {seed}, {method}+{argument} from {source}: {error.Message}; kept as {FuzzRun.Keep($"call-{seed}", payload)}", error);
            }
        }
        Assert.That(codes, Does.Contain((ErrorCode?)null).And.Contain((ErrorCode?)ErrorCode.QubesException).And.Contain((ErrorCode?)ErrorCode.QubesValueError));
    }

    private static (string Method, string Argument, string Source, byte[] Payload) Make(Random random, PolicyMutator mutator, List<byte[]> donors)
    {
        string Pick(string[] from) => from[random.Next(from.Length)];
        var call = Pick(Calls);
        var text = mutator.Mutate(donors[random.Next(donors.Count)]);
        byte[] payload = call switch
        {
            "Replace" or "include.Replace" => random.Next(16) == 0 ? text : [.. Encoding.UTF8.GetBytes(Pick(Tokens) + "\n"), .. text],
            "Remove" or "include.Remove" or "Revert" or "include.Revert" => random.Next(16) == 0 ? text : Encoding.UTF8.GetBytes(Pick([.. Tokens, "20260101T000000000Z", "../x"])),
            "Eval" or "Explain" => Question(random, mutator),
            _ => random.Next(16) == 0 ? text : [],
        };
        var argument = call is "Eval" or "Explain" or "Export" or "List" or "include.List" && random.Next(8) > 0 ? "" : call == "GetFiles" ? mutator.Word().Trim('+') : Pick(Files);
        return ("mgmt.policy." + call, argument, random.Next(3) == 0 ? "dom0" : "work", payload);
    }

    private static byte[] Question(Random random, PolicyMutator mutator)
    {
        string[] keys = ["service", "argument", "source", "target", "value", "requested_source", "user", ""];
        var text = $"service=mgmt.vm.Start\nsource=work\n{(random.Next(2) == 0 ? "" : "target=vault\n")}";
        for (var left = random.Next(4); left > 0; left--)
            text += $"{keys[random.Next(keys.Length)]}={mutator.Word()}\n";
        var bytes = Encoding.UTF8.GetBytes(text);
        return random.Next(2) == 0 ? bytes : mutator.Mutate(bytes);
    }

    // Null when it was served. MgmtInternalError is a defect of ours.
    private static async Task<ErrorCode?> CallAsync(Daemon daemon, string method, string argument, string source, byte[] payload)
    {
        var before = May(daemon, method, argument, source);
        var request = new CallRequest(method, argument, source, false, "dom0");
        CallSession session;
        try
        {
            session = daemon.Dispatcher.Open(request, Daemon.Root);
        }
        catch (MgmtException error)
        {
            return error.Code;
        }
        var result = await daemon.Dispatcher.RunAsync(session, new(payload, null, null, () => false), CancellationToken.None).AsTask().WaitAsync(Daemon.Deadline);
        Assert.That(result.Error?.Code, Is.Not.EqualTo(ErrorCode.MgmtInternalError), result.Error?.ToString());
        var forced = payload.AsSpan().StartsWith("force:"u8);
        Assert.That(!before || forced || result.Error is not null || May(daemon, method, argument, source), "who changed the policy could not change it back");
        return result.Error?.Code;
    }

    private static bool May(Daemon daemon, string method, string argument, string source) =>
        method.EndsWith(".Replace", StringComparison.Ordinal)
        && daemon.Policy.Current.Set.DecideCall(new PolicyRequest(method, "+" + argument, source, "dom0"), new SnapshotDirectory(daemon.Store.Current, null)).Allowed;

    private static void CheckWhole(Daemon daemon)
    {
        var load = PolicySet.Load(PolicySource.FromDirectories(new PolicyDirectory(daemon.PolicyPath)), new PolicyOptions { FoldManagementServices = true, BuiltinRule = true, ConfineIncludes = true });
        Assert.That(load.Errors, Is.Empty);
        Assert.That(daemon.Policy.Current.Stale, Is.False);
    }
}

using System.Text;
using Mgmt.Testing;

namespace Mgmt.Policy.Tests;

/// <summary>Seeded random inputs: the seed is in the failure's message.</summary>
[TestFixture]
public sealed class PropertyTests
{
    private static readonly string[] Pieces =
    [
        "s", "*", "+", "+x", "@anyvm", "@adminvm", "@default", "@dispvm", "@dispvm:dvm", "@tag:team", "@type:AppVM", "work", "dom0", "uuid:x", "allow", "deny", "ask",
        "target=", "target=dom0", "default_target=work", "user=", "notify=yes", "autostart=no", "!include", "!include-service", "!include-dir", "!compat-4.0", "$include:30-x.policy",
        "include/a", "..", "/", "30-x.policy", " ", "\t", "\n", "\r", "\r\n", ",", "$", "#", "=", "\0", "\u00A0", "\u2028", "\uFEFF", "é", "😀",
    ];

    [Test]
    public void Any_bytes_give_a_load_and_never_throw()
    {
        foreach (var seed in FuzzRun.Seeds(3000))
        {
            var random = new Random(seed);
            var files = new Dictionary<string, ReadOnlyMemory<byte>> { ["30-x.policy"] = Bytes(random), ["include/a"] = Bytes(random) };
            if (random.Next(4) == 0)
                files[Encoding.UTF8.GetString(Bytes(random).Span).Replace("\0", "") + ".policy"] = Bytes(random);
            PolicyLoad load;
            try
            {
                load = PolicySet.Load(PolicySource.FromFiles(files), random.Next(2) == 0 ? Sets.Pure : Sets.Daemon);
                if (load.Set is { } set)
                    AskEverything(set);
            }
            catch (Exception e)
            {
                throw new AssertionException($"seed {seed}", e);
            }
            Assert.That(load.Set is null, Is.EqualTo(load.Errors.Count > 0), $"seed {seed}");
            Assert.That(load.Errors.All(error => error.Line > 0 && error.Column > 0 && error.Message.Length > 0), $"seed {seed}");
        }
    }

    [Test]
    public void The_index_finds_what_a_walk_over_the_rules_finds()
    {
        string[] sources = ["*", "@anyvm", "@adminvm", "work", "mgmt", "@tag:team", "@type:AppVM", "uuid:" + TestDomains.Uuid("work"), "dom0"];
        string[] targets = [.. sources, "@default", "@dispvm", "@dispvm:dvm", "@dispvm:@tag:d", "vault"];
        string[] calls = ["* *", "s *", "s +x", "s +", "t *", "s +x+y"];
        foreach (var seed in FuzzRun.Seeds(300))
        {
            var random = new Random(seed);
            string Pick(string[] from) => from[random.Next(from.Length)];
            string[] rules = [.. Enumerable.Range(0, 12).Select(_ => $"{Pick(calls)} {Pick(sources)} {Pick(targets)} deny")];
            var whole = Sets.Make(rules);
            // Each rule alone says whether it matches; the first that does must be the one the whole set finds.
            var alone = rules.Select(rule => Sets.Make(rule)).ToArray();
            foreach (var source in new[] { "work", "mgmt", "dom0", "vault" })
            {
                foreach (var target in new[] { "work", "dom0", "", "@dispvm", "@dispvm:dvm", "vault" })
                {
                    var request = new PolicyRequest(Pick(["s", "t"]), Pick(["", "+x"]), source, target) { ValueArgument = Pick(["+x+y", "+q"]) };
                    var first = Array.FindIndex(alone, set => set.Evaluate(request, TestDomains.Office()).Rule is not null);
                    Assert.That(whole.Evaluate(request, TestDomains.Office()).Rule, Is.EqualTo(first < 0 ? null : $"30-x.policy:{first + 1}"), $"seed {seed}");
                }
            }
        }
    }

    [Test]
    public void In_a_large_set_the_first_rule_of_each_pair_decides()
    {
        var random = new Random(5);
        var pairs = Enumerable.Range(0, 30_000).Select(_ => (Source: $"vm-{random.Next(200)}", Target: $"vm-{random.Next(200)}")).ToList();
        var set = Sets.Make([.. pairs.Select(pair => $"s * {pair.Source} {pair.Target} deny")]);
        var domains = TestDomains.Office();
        foreach (var name in pairs.Select(pair => pair.Target).Distinct())
            domains.Add(name);
        var first = pairs.Select((pair, order) => (pair, order)).DistinctBy(item => item.pair).ToDictionary(item => item.pair, item => item.order + 1);
        for (var source = 0; source <= 200; source++)
        {
            for (var target = 0; target < 200; target++)
            {
                var expected = first.TryGetValue(($"vm-{source}", $"vm-{target}"), out var line) ? $"30-x.policy:{line}" : null;
                Assert.That(Sets.Ask(set, $"vm-{source}", $"vm-{target}", domains: domains).Rule, Is.EqualTo(expected));
            }
        }
    }

    private static void AskEverything(PolicySet set)
    {
        foreach (var target in new[] { "", "work", "dom0", "@dispvm", "@dispvm:dvm", "nobody" })
        {
            var request = new PolicyRequest("s", "+x", "work", target);
            set.Evaluate(request, TestDomains.Office());
            set.DecideCall(request, TestDomains.Office());
        }
    }

    private static ReadOnlyMemory<byte> Bytes(Random random)
    {
        if (random.Next(3) == 0)
        {
            var noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            return noise;
        }
        var text = new StringBuilder();
        for (var count = random.Next(60); count > 0; count--)
            text.Append(Pieces[random.Next(Pieces.Length)]).Append(random.Next(4) == 0 ? "" : random.Next(6) == 0 ? "\n" : " ");
        return Encoding.UTF8.GetBytes(text.ToString());
    }
}

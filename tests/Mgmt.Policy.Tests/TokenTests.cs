namespace Mgmt.Policy.Tests;

/// <summary>The matching table of the language, each token against each kind of word.</summary>
[TestFixture]
public sealed class TokenTests
{

    [TestCase("*", "work,dom0,@adminvm,@default,@dispvm,@dispvm:dvm,UUID(work),UUID(dom0),nobody")]
    [TestCase("@anyvm", "work,@default,@dispvm,@dispvm:dvm,UUID(work),nobody")]
    [TestCase("@adminvm", "dom0,@adminvm,UUID(dom0)")]
    [TestCase("dom0", "dom0,@adminvm,UUID(dom0)")]
    [TestCase("UUID(dom0)", "dom0,@adminvm,UUID(dom0)")]
    [TestCase("work", "work,UUID(work)")]
    [TestCase("UUID(work)", "work,UUID(work)")]
    [TestCase("@tag:team", "work,UUID(work)")]
    [TestCase("@tag:host", "dom0,UUID(dom0)")]
    [TestCase("@type:AppVM", "work,UUID(work)")]
    [TestCase("@default", "@default,nobody")]
    [TestCase("@dispvm", "@dispvm")]
    [TestCase("@dispvm:dvm", "@dispvm,@dispvm:dvm")]
    [TestCase("@dispvm:UUID(dvm)", "@dispvm:dvm")]
    [TestCase("@dispvm:@tag:d", "@dispvm,@dispvm:dvm")]
    [TestCase("@dispvm:@tag:team", "")]
    [TestCase("nobody", "")]
    [TestCase("$anyvm", "")]
    public void A_target_token_matches(string token, string matches)
    {
        var set = Sets.Make($"s * * {Expand(token)} deny");
        string[] words = ["work", "dom0", "@adminvm", "@default", "@dispvm", "@dispvm:dvm", "UUID(work)", "UUID(dom0)", "nobody"];
        var matched = words.Where(word => Sets.Ask(set, "work", Expand(word)).Rule is not null);
        Assert.That(string.Join(',', matched), Is.EqualTo(matches));
    }

    [TestCase("*", "work,dom0,@adminvm,UUID(work),UUID(dom0),nobody")]
    [TestCase("@anyvm", "work,UUID(work),nobody")]
    [TestCase("@adminvm", "dom0,@adminvm,UUID(dom0)")]
    [TestCase("dom0", "dom0,@adminvm,UUID(dom0)")]
    [TestCase("work", "work,UUID(work)")]
    [TestCase("UUID(work)", "work,UUID(work)")]
    [TestCase("nobody", "nobody")]
    [TestCase("@tag:team", "work,UUID(work)")]
    [TestCase("@type:AdminVM", "dom0,UUID(dom0)")]
    [TestCase("@dispvm:dvm", "")]
    [TestCase("@dispvm:@tag:d", "")]
    public void A_source_token_matches(string token, string matches)
    {
        var set = Sets.Make($"s * {Expand(token)} * deny");
        string[] words = ["work", "dom0", "@adminvm", "UUID(work)", "UUID(dom0)", "nobody"];
        var matched = words.Where(word => Sets.Ask(set, Expand(word), "vault").Rule is not null);
        Assert.That(string.Join(',', matched), Is.EqualTo(matches));
    }

    [TestCase("work", "work")]
    [TestCase("UUID(work)", "UUID(work)")]
    [TestCase("dom0", "dom0")]
    [TestCase("@adminvm", "dom0")]
    [TestCase("@dispvm", "@dispvm:dvm")]
    [TestCase("@dispvm:dvm", "@dispvm:dvm")]
    public void A_redirect_leads_to(string token, string target)
    {
        var set = Sets.Make($"s * * * allow target={Expand(token)}");
        Assert.That((Sets.Ask(set, "work", "vault") as PolicyDecision.Allow)?.Target, Is.EqualTo(Expand(target)));
    }

    [TestCase("s * @default * deny", 5, "source")]
    [TestCase("s * @dispvm * deny", 5, "source")]
    [TestCase("s * @foo * deny", 5, "source")]
    [TestCase("s * @tag: * deny", 5, "nothing follows")]
    [TestCase("s * * @tag:@x deny", 7, "target")]
    [TestCase("s * * @dispvm:@type:X deny", 7, "target")]
    [TestCase("s * * @dispvm:@tag: deny", 7, "nothing follows")]
    [TestCase("s * * * allow target=*", 15, "redirect")]
    [TestCase("s * * * allow target=@anyvm", 15, "redirect")]
    [TestCase("s * * * allow target=", 15, "empty redirect")]
    [TestCase("s * * * ask default_target=@dispvm:@tag:x", 13, "redirect")]
    public void A_token_in_the_wrong_place_is_an_error(string rule, int column, string says)
    {
        var error = Sets.Errors("\n" + rule).Single();
        Assert.That((error.Line, error.Column), Is.EqualTo((2, column)));
        Assert.That(error.Message, Does.Contain(says).And.Contain("expected"));
    }

    [TestCase("*")]
    [TestCase("@anyvm")]
    [TestCase("@tag:team")]
    [TestCase("@type:AppVM")]
    [TestCase("@dispvm:")]
    [TestCase("@dispvm:@tag:d")]
    [TestCase("@dispvm:work")]
    [TestCase("@dispvm:nobody")]
    [TestCase("@foo")]
    public void A_request_cannot_name_the_target(string target) =>
        Assert.That(Sets.Ask(Sets.Make("* * * * allow"), "work", target), Is.TypeOf<PolicyDecision.RequestError>());

    [Test]
    public void Matching_a_type_or_tag_includes_dom0_by_name_but_not_adminvm_Q1_kept()
    {
        var set = Sets.Make("s * * @type:AdminVM deny");
        Assert.That(Sets.Ask(set, "work", "dom0").Rule, Is.Not.Null);
        Assert.That(Sets.Ask(set, "work", "@adminvm").Rule, Is.Null);
    }

    [Test]
    public void A_source_without_a_default_dispvm_does_not_match_a_template_rule_Q2_fixed() =>
        Assert.That(Sets.Ask(Sets.Make("s * * @dispvm:dvm allow"), "mgmt", "@dispvm"), Is.EqualTo(NoMatch()));

    [Test]
    public void A_template_rule_by_uuid_does_not_match_the_plain_dispvm_request_Q3_kept() =>
        Assert.That(Sets.Ask(Sets.Make($"s * * @dispvm:{Expand("UUID(dvm)")} allow"), "work", "@dispvm"), Is.EqualTo(NoMatch()));

    [Test]
    public void A_default_dispvm_that_is_gone_matches_no_tag_rule_Q4_fixed() =>
        Assert.That(Sets.Ask(Sets.Make("s * * @dispvm:@tag:d allow"), "orphan", "@dispvm", domains: TestDomains.Office().Add("orphan", dispvm: "gone")), Is.EqualTo(NoMatch()));

    private static PolicyDecision.Deny NoMatch() => new(DenyReason.NoMatch, "no matching rule found") { Notify = true };

    private static string Expand(string word)
    {
        foreach (var name in new[] { "work", "dom0", "dvm" })
            word = word.Replace($"UUID({name})", "uuid:" + TestDomains.Uuid(name));
        return word;
    }
}

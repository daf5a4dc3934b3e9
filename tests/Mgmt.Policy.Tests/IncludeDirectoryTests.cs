namespace Mgmt.Policy.Tests;

[TestFixture]
public sealed class IncludeDirectoryTests
{
    [Test]
    public void A_directory_is_read_in_the_order_of_its_names_in_place_of_the_line()
    {
        var load = Sets.Load(
            Sets.Pure,
            ("30-x.policy", "a * * * deny\n!include-dir include/d\nb * * * deny"),
            ("include/d/20-a.policy", "b * work * deny"),
            ("include/d/100-a.policy", "b * work * allow\n!include include/e"),
            ("include/d/README", "oops"),
            ("include/d/.hidden.policy", "oops"),
            ("include/d/below/10-x.policy", "oops"),
            ("include/e", "a * * * allow"));
        Assert.That(load.Errors, Is.Empty);
        Assert.That(load.Set!.Files, Is.EqualTo(new[] { "30-x.policy", "include/d/100-a.policy", "include/e", "include/d/20-a.policy" }));
        Assert.That(Sets.Ask(load.Set!, "work", "vault", "b").Rule, Is.EqualTo("include/d/100-a.policy:1"));
        Assert.That(Sets.Ask(load.Set!, "vault", "work", "b").Rule, Is.EqualTo("30-x.policy:3"));
    }

    [TestCase("Foo.policy")]
    [TestCase("!30-x.policy")]
    [TestCase("30 x.policy")]
    public void A_bad_name_in_it_is_an_error_at_the_line(string name)
    {
        var error = Sets.Load(Sets.Pure, ("30-x.policy", "\n!include-dir d"), ("d/" + name, "")).Errors.Single();
        Assert.That(error.ToString(), Does.StartWith("30-x.policy:2:14: d/" + name).And.Contain("invalid file name"));
    }

    [Test]
    public void A_missing_directory_and_a_file_are_errors_and_an_empty_directory_is_none()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["etc/empty"]);
        directory.Write("etc/file", "");
        directory.Write("etc/30-x.policy", "!include-dir empty\n!include-dir file\n!include-dir gone");
        var load = PolicySet.Load(PolicySource.FromDirectories(new PolicyDirectory(directory["etc"])), Sets.Pure);
        Assert.That(load.Errors.Select(error => error.ToString()), Is.EqualTo(new[] { "30-x.policy:2:14: not a directory: file", "30-x.policy:3:14: not a directory: gone" }));
    }

    [Test]
    public void A_directory_that_includes_itself_is_an_error()
    {
        var load = Sets.Load(Sets.Pure, ("30-x.policy", "!include-dir d"), ("d/10-a.policy", "!include-dir d"));
        Assert.That(load.Errors.Single().Message, Does.Contain("d/10-a.policy includes itself"));
    }

    [Test]
    public void A_file_for_one_service_includes_no_directory() =>
        Assert.That(Sets.Load(Sets.Pure, ("30-x.policy", "!include-service s * c"), ("c", "!include-dir d"), ("d/10-x.policy", "")).Errors.Single().Message, Does.Contain("expected only !include"));
}

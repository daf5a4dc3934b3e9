using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Mgmt.Core;

namespace Mgmt.Wire.Tests;

public sealed class EventFilterTests
{
    [TestCase("", false)]
    [TestCase("cursor=yes\n", true)]
    [TestCase("since=now", true)]
    [TestCase("since=00000000000000ff.12\n", true)]
    [TestCase("subject=work\nsubject=\nevent=domain-*", false)]
    public void A_filter_is_read(string text, bool withCursor) => Assert.That(Parse(text).WithCursor, Is.EqualTo(withCursor));

    [TestCase("\n")]
    [TestCase("cursor=yes\n\n")]
    [TestCase("cursor=no")]
    [TestCase("cursor=yes\ncursor=yes")]
    [TestCase("since=")]
    [TestCase("since=12")]
    [TestCase("since=00000000000000FF.12")]
    [TestCase("since=now\nsince=now")]
    [TestCase("subject=-x")]
    [TestCase("event=")]
    [TestCase("event=a b")]
    [TestCase("Event=a")]
    [TestCase("event")]
    [TestCase("unknown=1")]
    [TestCase("cursor=yes\r\n")]
    [TestCase("event=\u00e9")]
    public void Anything_else_is_a_protocol_error(string text) =>
        Assert.That(Assert.Throws<MgmtException>(() => Parse(text))!.Code, Is.EqualTo(ErrorCode.ProtocolError));

    [Test]
    public void The_number_of_lines_is_bounded()
    {
        string Lines(int count) => string.Concat(Enumerable.Repeat("event=a\n", count));
        Assert.DoesNotThrow(() => Parse(Lines(EventFilter.MaxLines)));
        Assert.Throws<MgmtException>(() => Parse(Lines(EventFilter.MaxLines + 1)));
    }

    [TestCase("", "work", "domain-start", true)]
    [TestCase("subject=work", "work", "x", true)]
    [TestCase("subject=work", "", "x", false)]
    [TestCase("subject=\nsubject=work", "", "x", true)]
    [TestCase("event=domain-*", "work", "domain-start", true)]
    [TestCase("event=domain-*", "work", "Domain-start", false)]
    [TestCase("event=*:memory\nevent=label-add", "work", "property-set:memory", true)]
    [TestCase("event=*:memory\nevent=label-add", "", "label-add", true)]
    [TestCase("event=*:memory\nsubject=a", "b", "property-set:memory", false)]
    [TestCase("event=a*b*c", "", "aXbXbc", true)]
    [TestCase("event=a*b*c", "", "acb", false)]
    [TestCase("event=*", "", "", true)]
    [TestCase("event=a", "", "ab", false)]
    [TestCase("event=a**", "", "a", true)]
    public void It_lets_through_what_matches_both_keys(string text, string subject, string name, bool passes) =>
        Assert.That(Parse(text).Matches(subject, name), Is.EqualTo(passes));

    [Test]
    public void What_is_written_is_read_back()
    {
        var filter =
            from since in Gen.Elements<EventCursor?>(null, new EventCursor(1, 0), new EventCursor(ulong.MaxValue, ulong.MaxValue))
            from now in Gen.Elements(true, false)
            from cursor in Gen.Elements(true, false)
            from subjects in Gen.Elements("", "work", "dom0").ListOf()
            from patterns in Gen.Elements("*", "a*b", "property-set:*", "=").ListOf()
            select new EventFilter { Since = since, SinceNow = now && since is null, CursorAsked = cursor, Subjects = [.. subjects], Patterns = [.. patterns] };
        Prop.ForAll(filter.ToArbitrary(), value =>
        {
            var read = EventFilter.Parse(value.ToBytes());
            return read.Since == value.Since && read.SinceNow == value.SinceNow && read.CursorAsked == value.CursorAsked
                && read.Subjects.SequenceEqual(value.Subjects) && read.Patterns.SequenceEqual(value.Patterns);
        }).QuickCheckThrowOnFailure();
    }

    [Test]
    public void Any_bytes_give_a_value_or_a_protocol_error() =>
        AnyBytes.Check("event=subject=since=now\ncursor=yes\n*", bytes => EventFilter.Parse(bytes).Matches("a", "b"));

    private static EventFilter Parse(string text) => EventFilter.Parse(Encoding.Latin1.GetBytes(text));
}

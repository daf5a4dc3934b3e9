using System.Buffers;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Mgmt.Core;

namespace Mgmt.Wire.Tests;

public sealed class EventReaderTests
{
    [TestCase("31000000" + "00", "", "", "")]
    [TestCase("3100" + "00" + "636f6e6e656374696f6e2d65737461626c697368656400" + "00", "", "connection-established", "")]
    [TestCase("3100" + "776f726b00" + "646f6d61696e2d737461727400" + "6b00" + "00" + "00", "work", "domain-start", "k=;")]
    [TestCase("3100" + "776f726b00" + "6500" + "6100" + "3100" + "6200" + "c3a900" + "00", "work", "e", "a=1;b=\u00e9;")]
    public void An_event_is_read(string hex, string subject, string name, string pairs)
    {
        var value = ReadAll(Convert.FromHexString(hex), out var left).Single();
        Assert.That((value.Subject, value.Name, Pairs(value), left), Is.EqualTo((subject, name, pairs, 0L)));
    }

    [Test]
    public void An_event_cut_off_anywhere_is_awaited_and_nothing_is_taken()
    {
        var whole = Write(MgmtEvent.Of(VmName.Parse("work"), "domain-start", ("start_guid", ""), ("b", "2")));
        for (var length = 0; length < whole.Length; length++)
        {
            var buffer = new ReadOnlySequence<byte>(whole, 0, length);
            Assert.That((EventReader.TryRead(ref buffer, out _), buffer.Length), Is.EqualTo((false, (long)length)));
        }
    }

    [Test]
    public void An_event_may_lie_in_any_two_pieces()
    {
        var whole = Write(MgmtEvent.Of(VmName.Parse("work"), "domain-start", ("start_guid", "x")));
        for (var cut = 0; cut <= whole.Length; cut++)
        {
            var buffer = Pieces.Of(whole.AsMemory(0, cut), whole.AsMemory(cut));
            Assert.That(EventReader.TryRead(ref buffer, out var value), $"cut at {cut}");
            Assert.That((value!.Name, value["start_guid"], buffer.Length), Is.EqualTo(("domain-start", "x", 0L)));
        }
    }

    [TestCase("30")]
    [TestCase("3200")]
    [TestCase("3101")]
    [TestCase("00")]
    public void Bytes_that_begin_no_event_are_refused(string hex) =>
        Assert.That(Assert.Throws<MgmtException>(() => ReadAll(Convert.FromHexString(hex), out _))!.Code, Is.EqualTo(ErrorCode.ProtocolError));

    [Test]
    public void An_event_without_end_is_not_awaited_for_ever()
    {
        var endless = new byte[EventReader.MaxFrameBytes + 1];
        "1\0"u8.CopyTo(endless);
        endless.AsSpan(2).Fill((byte)'x');
        Assert.Throws<MgmtException>(() => ReadAll(endless, out _));
        Assert.DoesNotThrow(() => ReadAll(endless[..^1], out _));
    }

    [Test]
    public void Extra_pairs_come_last()
    {
        var output = new ArrayBufferWriter<byte>();
        ReplyWriter.WriteEvent(output, MgmtEvent.Global("e", ("a", "1\0")), [new("cursor", "x")]);
        Assert.That(Encoding.ASCII.GetString(output.WrittenSpan), Is.EqualTo("1\0\0e\0a\01_\0cursor\0x\0\0"));
    }

    [TestCase("s\0", "e", "k")]
    [TestCase("s", "e\0", "k")]
    [TestCase("s", "e", "k\0")]
    [TestCase("s", "e", "")]
    public void Names_that_break_the_frame_are_refused_and_nothing_is_written(string subject, string name, string key)
    {
        var output = new ArrayBufferWriter<byte>();
        Assert.Throws<ArgumentException>(() => ReplyWriter.WriteEvent(output, new MgmtEvent(subject, name, [new(key, "")]), []));
        Assert.That(output.WrittenCount, Is.Zero);
    }

    [Test]
    public void Every_stream_that_is_written_is_read_back_in_order()
    {
        var text = ArbMap.Default.GeneratorFor<NonNull<string>>().Select(value => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(value.Get.Replace("\0", "", StringComparison.Ordinal))));
        var pair = from key in text from value in text select new KeyValuePair<string, string>("k" + key, value);
        var one = from subject in text from name in text from pairs in pair.ListOf() select new MgmtEvent(subject, name, [.. pairs]);
        Prop.ForAll(one.ListOf().ToArbitrary(), events =>
        {
            var read = ReadAll([.. events.SelectMany(Write)], out var left);
            return left == 0 && read.Select(Show).SequenceEqual(events.Select(Show));
        }).QuickCheckThrowOnFailure();
    }

    [Test]
    public void Any_bytes_give_values_or_a_protocol_error() => AnyBytes.Check("1\0\0a", bytes => ReadAll(bytes, out _));

    private static List<MgmtEvent> ReadAll(byte[] bytes, out long left)
    {
        var buffer = new ReadOnlySequence<byte>(bytes);
        var events = new List<MgmtEvent>();
        while (EventReader.TryRead(ref buffer, out var value))
        {
            events.Add(value);
        }
        left = buffer.Length;
        return events;
    }

    private static byte[] Write(MgmtEvent value)
    {
        var output = new ArrayBufferWriter<byte>();
        ReplyWriter.WriteEvent(output, value, []);
        return output.WrittenSpan.ToArray();
    }

    private static string Pairs(MgmtEvent value) => string.Concat(value.Pairs.Select(pair => $"{pair.Key}={pair.Value};"));

    private static string Show(MgmtEvent value) => $"{value.Subject}\0{value.Name}\0{Pairs(value)}";
}

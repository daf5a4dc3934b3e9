using System.IO.Pipelines;

namespace Mgmt.Core.Tests;

public sealed class ContentFrameTests
{
    private static readonly byte[] s_three = [(byte)'S', 0, 2, (byte)'a', (byte)'\n', (byte)'D', 0, 0, (byte)'W', 0, 4, 0, 24, 0x12, 0x34];

    private static PipeReader Of(ReadOnlySpan<byte> bytes) => PipeReader.Create(new MemoryStream(bytes.ToArray()));

    [Test]
    public async Task Frames_have_the_bytes_that_the_wire_says()
    {
        byte[] all = [.. new ContentFrame(ContentFrame.Start, "a\n"u8.ToArray()).ToArray(), .. new ContentFrame(ContentFrame.Data, default).ToArray(), .. ContentFrame.OfWindow(24, 0x1234).ToArray()];
        Assert.That(all, Is.EqualTo(s_three));
        var reader = Of(all);
        Assert.That((await ContentFrame.ReadAsync(reader, default))!.Value.Bytes.ToArray(), Is.EqualTo("a\n"u8.ToArray()));
        Assert.That((await ContentFrame.ReadAsync(reader, default))!.Value, Is.EqualTo(new ContentFrame(ContentFrame.Data, Array.Empty<byte>())).Using<ContentFrame>((a, b) => a.Type == b.Type && a.Bytes.Span.SequenceEqual(b.Bytes.Span)));
        Assert.That((await ContentFrame.ReadAsync(reader, default))!.Value.WindowSize, Is.EqualTo((24, 0x1234)));
        Assert.That(await ContentFrame.ReadAsync(reader, default), Is.Null);
    }

    [Test]
    public async Task Cut_at_each_byte_an_end_within_a_frame_is_an_error_and_one_between_frames_is_not()
    {
        int[] ends = [0, 5, 8, s_three.Length];
        for (var length = 0; length <= s_three.Length; length++)
        {
            var reader = Of(s_three.AsSpan(0, length));
            for (var whole = ends.Count(end => end > 0 && end <= length); whole > 0; whole--)
            {
                Assert.That(await ContentFrame.ReadAsync(reader, default), Is.Not.Null, $"{length} bytes");
            }
            if (ends.Contains(length))
            {
                Assert.That(await ContentFrame.ReadAsync(reader, default), Is.Null, $"{length} bytes");
            }
            else
            {
                Assert.That((await Assert.ThrowsAsync<MgmtException>(() => ContentFrame.ReadAsync(reader, default).AsTask()))!.Code, Is.EqualTo(ErrorCode.ProtocolError), $"{length} bytes");
            }
        }
    }

    [Test]
    public async Task A_frame_that_comes_byte_by_byte_is_one()
    {
        var pipe = new Pipe();
        var reading = ContentFrame.ReadAsync(pipe.Reader, default).AsTask();
        foreach (var b in s_three.Take(5))
        {
            Assert.That(reading.IsCompleted, Is.False);
            await pipe.Writer.WriteAsync(new[] { b });
        }
        Assert.That((await reading)!.Value.Bytes.Length, Is.EqualTo(2));
    }

    [Test]
    public void The_most_bytes_fit_and_one_more_does_not()
    {
        Assert.That(new ContentFrame(ContentFrame.Data, new byte[ContentFrame.MaxBytes]).ToArray(), Has.Length.EqualTo(ContentFrame.MaxBytes + 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ContentFrame(ContentFrame.Data, new byte[ContentFrame.MaxBytes + 1]).ToArray());
    }

    [TestCase(0)]
    [TestCase(3)]
    [TestCase(5)]
    public void A_window_of_another_length_has_no_size(int length) => Assert.That(new ContentFrame(ContentFrame.Window, new byte[length]).WindowSize, Is.Null);
}

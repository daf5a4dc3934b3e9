using System.Buffers;

namespace Mgmt.Storage.Tests;

/// <summary>A file that fills as bytes come, past the page cache and through it.</summary>
public sealed class ReceivedFileTests
{
    private const int Piece = 4 << 20;

    private string _directory = "";

    [TearDown]
    public void RemoveFiles() => Directory.Delete(_directory, recursive: true);

    // The sizes end within a block, at one, at a piece, and just after it. A tmpfs may have no direct writes.
    [Test]
    public async Task Holds_every_byte_that_came(
        [Values(512, 4096, Piece, Piece + 512, (2 * Piece) + 4096, (3 * Piece) - 1536)] int size, [Values] bool direct, [Values("/var/tmp", "/dev/shm")] string below)
    {
        var data = new byte[size];
        new Random(size).NextBytes(data);
        // Zeros within a block, over whole grains, and over the border between two pieces.
        data.AsSpan(Math.Min(100, size), Math.Min(200, size - Math.Min(100, size))).Clear();
        Clear(data, 1 << 20, 1 << 20);
        Clear(data, Piece - 70_000, 140_000);
        var file = await ReceiveAsync(below, data, direct);
        Assert.That(File.ReadAllBytes(file).AsSpan().SequenceEqual(data), Is.True);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task Zeros_take_no_space(bool direct)
    {
        var data = new byte[3 * Piece];
        data[Piece + 5] = 1;
        var file = await ReceiveAsync("/var/tmp", data, direct);
        Assert.That(FileStatus.Of(file)!.UsedBytes, Is.LessThanOrEqualTo(128 << 10));
        Assert.That(File.ReadAllBytes(file).AsSpan().SequenceEqual(data), Is.True);
    }

    private async Task<string> ReceiveAsync(string below, byte[] data, bool direct)
    {
        _directory = Path.Combine(below, $"mgmt-received-{Guid.NewGuid():N}");
        Directory.CreateDirectory(_directory);
        var path = Path.Combine(_directory, "file");
        await File.WriteAllBytesAsync(path, []);
        await using var file = new ReceivedFile(path, data.Length, direct);
        var random = new Random(data.Length);
        for (var at = 0; at < data.Length;)
        {
            var count = Math.Min(random.Next(1, 700_000), data.Length - at);
            await file.AppendAsync(new ReadOnlySequence<byte>(data, at, count));
            at += count;
        }
        await file.CompleteAsync();
        return path;
    }

    private static void Clear(byte[] data, int from, int count)
    {
        if (from + count <= data.Length)
        {
            data.AsSpan(from, count).Clear();
        }
    }
}

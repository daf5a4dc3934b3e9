using System.Text;

namespace Mgmt.Api.Tests.Machines;

public sealed class ExitStatusScannerTests
{
    private static (ExitStatusScanner Scanner, string Mark) New()
    {
        var scanner = new ExitStatusScanner(plain: true);
        return (scanner, scanner.Wrap(["/bin/x"])[4]);
    }

    private static string Scan(ExitStatusScanner scanner, string output, int pieceBytes)
    {
        var text = new StringBuilder();
        foreach (var piece in Encoding.ASCII.GetBytes(output).Chunk(pieceBytes))
        {
            text.Append(Encoding.ASCII.GetString(scanner.Take(piece).Span));
        }
        return text.Append(Encoding.ASCII.GetString(scanner.TakeRest().Span)).ToString();
    }

    [Test]
    public void However_the_output_is_cut_only_the_programs_part_of_it_comes_through([Range(1, 60)] int pieceBytes)
    {
        var (scanner, mark) = New();
        Assert.That(Scan(scanner, $"motd\r\n{mark}!out mgmt- put{mark}3;$ ", pieceBytes), Is.EqualTo("out mgmt- put"));
        Assert.That((scanner.Status, scanner.Began.IsCompleted), Is.EqualTo(((int?)3, true)));
    }

    [TestCase("0", 0)]
    [TestCase("127", 127)]
    [TestCase("255", 255)]
    public void A_status_is_a_number_of_one_byte(string digits, int status)
    {
        var (scanner, mark) = New();
        Assert.That(Scan(scanner, $"{mark}!{mark}{digits};", 7), Is.Empty);
        Assert.That(scanner.Status, Is.EqualTo(status));
    }

    [TestCase("256;")]
    [TestCase("x;")]
    [TestCase(";")]
    [TestCase("1234;")]
    public void What_is_no_status_is_none(string after)
    {
        var (scanner, mark) = New();
        Scan(scanner, $"{mark}!text{mark}{after}", 5);
        Assert.That(scanner.Status, Is.Null);
    }

    [Test]
    public void A_program_that_never_began_has_no_output_and_no_status()
    {
        var (scanner, mark) = New();
        Assert.That(Scan(scanner, "sh: not found\r\n" + mark[..^1], 4), Is.Empty);
        Assert.That((scanner.Status, scanner.Began.IsCompleted), Is.EqualTo(((int?)null, false)));
    }

    [Test]
    public void Output_that_ends_within_a_mark_is_output()
    {
        var (scanner, mark) = New();
        Assert.That(Scan(scanner, $"{mark}!text{mark[..10]}", 3), Is.EqualTo("text" + mark[..10]));
    }
}

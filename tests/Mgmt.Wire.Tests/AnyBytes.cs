using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Mgmt.Core;

namespace Mgmt.Wire.Tests;

/// <summary>Parsers of outside bytes may give a value or say ProtocolError; everything else is a defect.</summary>
internal static class AnyBytes
{
    /// <summary>Tries random bytes, half of them from an alphabet that gets past the first checks.</summary>
    public static void Check(string alphabet, Action<byte[]> parse)
    {
        var lucky = Gen.Elements(Encoding.Latin1.GetBytes(alphabet)).ArrayOf();
        var any = Gen.Choose(0, 255).Select(number => (byte)number).ArrayOf();
        var config = Config.QuickThrowOnFailure.WithMaxTest(2000);
        Prop.ForAll(Gen.OneOf(lucky, any).ToArbitrary(), bytes => GiveAValueOrAProtocolError(() => parse(bytes))).Check(config);
    }

    public static void GiveAValueOrAProtocolError(Action parse)
    {
        try
        {
            parse();
        }
        catch (MgmtException error) when (error.Code == ErrorCode.ProtocolError)
        {
        }
    }
}

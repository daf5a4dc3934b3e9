using Mgmt.Core;

namespace Mgmt.Policy;

/// <summary>Strings of JSON from outside. The reader of the framework finds out only when a string is taken that it is no text: half a surrogate pair, bytes that are not UTF-8.</summary>
internal static class JsonText
{
    /// <summary>Reads. ERRORS: QubesValueError for a string that is no text; those of the reading.</summary>
    public static T Read<T>(string what, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException error)
        {
            throw new MgmtException(error, ErrorCode.QubesValueError, "The %s has a string that is no text: %s", what, error.Message);
        }
    }
}

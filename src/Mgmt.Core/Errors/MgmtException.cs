namespace Mgmt.Core;

/// <summary>
/// The caller's fault or a known state of the system; it goes on the wire as it is. Any other exception that reaches
/// the dispatcher is a defect of ours and is reported as <see cref="ErrorCode.MgmtInternalError"/>.
/// </summary>
/// <remarks>SHAPE: <see cref="Template"/> holds <c>%s</c> once per field and no other <c>%</c> unless doubled.</remarks>
public sealed class MgmtException : Exception
{
    /// <summary>Makes an error from a template with <c>%s</c> and the values that fill it.</summary>
    public MgmtException(ErrorCode code, string template, params ReadOnlySpan<string> fields)
        : this(null, code, template, fields)
    {
    }

    /// <summary>As above, keeping the exception that caused it for the log.</summary>
    public MgmtException(Exception? inner, ErrorCode code, string template, params ReadOnlySpan<string> fields)
        : base(ErrorTemplate.Format(template, fields), inner)
    {
        Code = code;
        Template = template;
        Fields = [.. fields];
    }

    /// <summary>The class of the error.</summary>
    public ErrorCode Code { get; }

    /// <summary>The message with <c>%s</c> where a field goes, so that a client can translate it.</summary>
    public string Template { get; }

    /// <summary>The values for the template, in order.</summary>
    public IReadOnlyList<string> Fields { get; }
}

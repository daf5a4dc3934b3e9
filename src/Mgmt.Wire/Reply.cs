using System.Collections.Immutable;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>What a call answered: <see cref="Ok"/> or <see cref="Failure"/>. SOURCE: docs/wire.md, "Reply".</summary>
public abstract record Reply
{
    private Reply()
    {
    }

    /// <summary>Done.</summary>
    /// <param name="Content">The bytes after the frame's head, up to the end of the connection.</param>
    public sealed record Ok(ReadOnlyMemory<byte> Content) : Reply
    {
        /// <summary>The content as UTF-8 text; bytes that are none become U+FFFD.</summary>
        public string Text => Encoding.UTF8.GetString(Content.Span);
    }

    /// <summary>Refused or failed.</summary>
    /// <param name="Type">The class of the error, usually the name of an <see cref="ErrorCode"/>.</param>
    /// <param name="Traceback">Where it happened; empty unless the daemon runs with --debug.</param>
    /// <param name="Template">The message with <c>%s</c> where a field goes.</param>
    /// <param name="Fields">The values for the template, in order.</param>
    public sealed record Failure(string Type, string Traceback, string Template, ImmutableArray<string> Fields) : Reply
    {
        /// <summary>
        /// The template with its fields put in. Other daemons send texts that are no proper template: what does not
        /// fit stays as it is, and fields left over follow the text, so this never fails.
        /// </summary>
        public string Message => TemplateText.Fill(Template, Fields.AsSpan());

        /// <summary>
        /// The same as an exception. A type this client does not know becomes QubesException, and
        /// <c>QubesDaemonAccessError</c>, which the admin.* dialect says for a denial, becomes PermissionDenied.
        /// </summary>
        public MgmtException ToException() => new(Code, ErrorTemplate.Escape(Message));

        /// <summary>The code of <see cref="Type"/>, by the same rules.</summary>
        public ErrorCode Code => Type == ErrorTypes.AdminDenied ? ErrorCode.PermissionDenied
            : Enum.TryParse<ErrorCode>(Type, out var code) && Enum.GetName(code) == Type ? code
            : ErrorCode.QubesException;
    }
}

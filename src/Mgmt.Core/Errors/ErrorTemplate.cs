using System.Text;

namespace Mgmt.Core;

/// <summary>The format of error messages: <c>%s</c> is the next field, <c>%%</c> a percent sign, nothing else.</summary>
public static class ErrorTemplate
{
    /// <summary>Fills a template. ERRORS: ArgumentException when the template and the fields do not fit.</summary>
    public static string Format(string template, ReadOnlySpan<string> fields)
    {
        var text = new StringBuilder(template.Length + 32);
        var next = 0;
        for (var i = 0; i < template.Length; i++)
        {
            if (template[i] != '%')
            {
                text.Append(template[i]);
                continue;
            }
            var kind = ++i < template.Length ? template[i] : '\0';
            text.Append(kind switch
            {
                '%' => "%",
                's' when next < fields.Length => fields[next++],
                _ => throw new ArgumentException($"bad error template: {template}", nameof(template)),
            });
        }
        return next == fields.Length ? text.ToString() : throw new ArgumentException($"unused fields: {template}", nameof(fields));
    }

    /// <summary>Doubles every <c>%</c>, for text that becomes part of a template.</summary>
    public static string Escape(string text) => text.Replace("%", "%%", StringComparison.Ordinal);
}

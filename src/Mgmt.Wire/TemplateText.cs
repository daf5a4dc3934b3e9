using System.Text;

namespace Mgmt.Wire;

/// <summary>Templates as they come from a peer; the strict form for our own is <see cref="Core.ErrorTemplate"/>.</summary>
internal static class TemplateText
{
    /// <summary>How many fields the template takes.</summary>
    public static int CountPlaces(string template)
    {
        var count = 0;
        for (var i = 0; i + 1 < template.Length; i++)
        {
            if (template[i] == '%')
            {
                count += template[++i] == 's' ? 1 : 0;
            }
        }
        return count;
    }

    public static string Fill(string template, ReadOnlySpan<string> fields)
    {
        var text = new StringBuilder(template.Length + 32);
        var next = 0;
        for (var i = 0; i < template.Length; i++)
        {
            var kind = template[i] == '%' && i + 1 < template.Length ? template[i + 1] : '\0';
            if (kind == 's' && next < fields.Length)
            {
                text.Append(fields[next++]);
                i++;
            }
            else
            {
                text.Append(template[i]);
                i += kind == '%' ? 1 : 0;
            }
        }
        foreach (var field in fields[next..])
        {
            text.Append(' ').Append(field);
        }
        return text.ToString();
    }
}

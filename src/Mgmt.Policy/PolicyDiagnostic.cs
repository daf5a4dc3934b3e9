using System.Globalization;

namespace Mgmt.Policy;

/// <summary>One mistake (or warning) in a policy set.</summary>
/// <param name="File">The file as in <see cref="RuleLocation.File"/>.</param>
/// <param name="Line">Line number, from 1; 1 as well when the whole file is meant.</param>
/// <param name="Column">UTF-16 unit within the line, from 1, where the offending word begins.</param>
/// <param name="Message">What is wrong and what was expected.</param>
public sealed record PolicyDiagnostic(string File, int Line, int Column, string Message)
{
    /// <summary>`FILE:LINE:COLUMN: MESSAGE`.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{File}:{Line}:{Column}: {Message}");
}

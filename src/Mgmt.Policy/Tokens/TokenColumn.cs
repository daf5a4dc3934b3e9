namespace Mgmt.Policy;

internal enum TokenColumn : byte
{
    Source,
    Target,
    Redirect,
}

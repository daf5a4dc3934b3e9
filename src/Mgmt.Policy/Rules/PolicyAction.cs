namespace Mgmt.Policy;

internal enum PolicyAction : byte
{
    Allow,
    Deny,
    Ask,
}

namespace Mgmt.Wire;

/// <summary>How a request names its destination. On the wire: the member's name in lower case.</summary>
public enum DestinationKind
{
    /// <summary>A VM's name, or <c>uuid:</c> and its UUID.</summary>
    Name,
    /// <summary><c>adminvm</c> or <c>default</c>; both are dom0.</summary>
    Keyword,
}

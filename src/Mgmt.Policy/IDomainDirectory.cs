namespace Mgmt.Policy;

/// <summary>The VMs a policy question is asked about, as one unchanging view.</summary>
public interface IDomainDirectory
{
    /// <summary>Finds a VM by its name (`work`) or its UUID (`uuid:` and 36 lower-case characters); null when there is none.</summary>
    DomainInfo? Find(string nameOrUuid);

    /// <summary>All VMs, dom0 included, each once, in any order.</summary>
    IEnumerable<DomainInfo> All { get; }
}

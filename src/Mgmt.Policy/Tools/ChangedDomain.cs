namespace Mgmt.Policy;

/// <summary>Other VMs with one of them changed; its name and its UUID are the same.</summary>
internal sealed class ChangedDomain(IDomainDirectory domains, DomainInfo changed) : IDomainDirectory
{
    public IEnumerable<DomainInfo> All => domains.All.Select(Change);

    public DomainInfo? Find(string nameOrUuid) => domains.Find(nameOrUuid) is { } found ? Change(found) : null;

    private DomainInfo Change(DomainInfo domain) => domain.Name == changed.Name ? changed : domain;
}

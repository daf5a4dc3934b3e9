namespace Mgmt.Cli;

/// <summary>Nobody reads standard output any more; no fault of anybody's, and nobody to tell.</summary>
internal sealed class ReaderGoneException : Exception;

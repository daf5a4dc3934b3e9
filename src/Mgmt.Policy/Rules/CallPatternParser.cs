namespace Mgmt.Policy;

// service  = "*" | 1*( "A-Za-z0-9-._" )
// argument = "*" | "+" *( "A-Za-z0-9-._+" )         only "*" with the service "*"
internal static class CallPatternParser
{
    public static RuleError? Parse(ref Words words, WordPool pool, out CallPattern pattern)
    {
        pattern = default;
        words.TryNext(out var service);
        var serviceColumn = words.Column;
        words.TryNext(out var argument);
        var argumentColumn = words.Column;
        if (service is not "*" && !IsAll(service, plus: false))
            return new RuleError(serviceColumn, $"invalid service {Spelling.Quote(service)}: expected * or letters, digits, '-', '.' and '_'");
        if (argument is not "*" && !IsAll(argument, plus: true))
            return new RuleError(argumentColumn, $"invalid argument {Spelling.Quote(argument)}: expected * or '+' and letters, digits, '-', '.', '_' and '+'");
        if (argument is not "*" && !argument.StartsWith('+'))
            return new RuleError(argumentColumn, $"argument {Spelling.Quote(argument)} does not start with +: expected * or '+' and the argument");
        if (service is "*" && argument is not "*")
            return new RuleError(argumentColumn, $"argument {Spelling.Quote(argument)} for service *: expected the argument *");
        pattern = new CallPattern(service is "*" ? null : pool.Get(service), argument is "*" ? null : pool.Get(argument));
        return null;
    }

    private static bool IsAll(ReadOnlySpan<char> word, bool plus)
    {
        foreach (var c in word)
        {
            if (c is not ((>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9') or '-' or '.' or '_') && !(plus && c == '+'))
                return false;
        }
        return true;
    }
}

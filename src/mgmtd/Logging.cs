using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Events;
using Serilog.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>The log goes to stderr, where the service manager picks it up; under systemd each line carries its priority.</summary>
internal static class Logging
{
    private const string Plain = "{Timestamp:HH:mm:ss.fff} {Level:u3} {SourceContext:l}: {Message:lj}{NewLine}{Exception}";

    internal static void Configure(ILoggingBuilder logging, DaemonSettings settings)
    {
        var logger = new LoggerConfiguration()
            .MinimumLevel.Is(settings.Debug ? LogEventLevel.Debug : LogEventLevel.Information)
            .WriteTo.Console(outputTemplate: Plain, standardErrorFromLevel: LogEventLevel.Verbose, formatProvider: System.Globalization.CultureInfo.InvariantCulture)
            .CreateLogger();
        logging.ClearProviders();
        logging.AddFilter("Microsoft", LogLevel.Warning);
        logging.AddProvider(new SerilogLoggerProvider(logger, dispose: true));
    }
}

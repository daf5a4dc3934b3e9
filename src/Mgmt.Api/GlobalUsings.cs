global using Mgmt.Core;

"""From a finding to the line of the plug-in that is at fault."""

"""Language models behind one interface: here, on this machine's servers, or in clouds."""

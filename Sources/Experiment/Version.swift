/// Version of this project.
public let collapseVersion = "0.1.0"
